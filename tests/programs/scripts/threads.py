"""Threads that pass objects to each other, processes that fork, garbage with cycles."""
import gc
import hashlib
import multiprocessing
import queue
import threading
import zlib


def produce(number, out):
    for i in range(4000):
        out.put((number, i, bytes([i & 255]) * (i % 700), {"k" + str(i): [i] * (i % 9)}))
    out.put(None)


def consume(source, results, lock):
    count, total, keep = 0, 0, []
    while (item := source.get()) is not None:
        count += 1
        total += zlib.crc32(zlib.compress(item[2])) if item[1] % 16 == 0 else len(item[2])
        keep.append(item)
        if len(keep) > 500:
            del keep[::2]
    with lock:
        results.append((count, total))


def pairs():
    results, lock, threads = [], threading.Lock(), []
    for number in range(3):
        line = queue.Queue(200)
        threads += [
            threading.Thread(target=produce, args=(number, line)),
            threading.Thread(target=consume, args=(line, results, lock)),
        ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("pairs", sorted(results))


def births():
    digests = [None] * 400

    def work(n):
        digests[n] = hashlib.sha256(b"".join(str(i * n).encode() for i in range(300))).hexdigest()

    for start in range(0, 400, 20):
        group = [threading.Thread(target=work, args=(n,)) for n in range(start, start + 20)]
        for thread in group:
            thread.start()
        for thread in group:
            thread.join()
    print("births", hashlib.sha256("".join(digests).encode()).hexdigest())


def square(n):
    return sum(len(str(i)) for i in range(n)) * n


def forks():
    """Forks while another thread allocates."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            [bytearray(n) for n in range(200)]

    noise = threading.Thread(target=churn)
    noise.start()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print("forks", pool.map(square, range(0, 3000, 100)))
    stop.set()
    noise.join()


def cycles():
    class Node:
        pass

    for _ in range(20):
        ring = [Node() for _ in range(2000)]
        for a, b in zip(ring, ring[1:] + ring[:1]):
            a.next, b.back = b, a
    del ring, a, b
    gc.collect()
    print("cycles", sum(isinstance(o, Node) for o in gc.get_objects()))


if __name__ == "__main__":
    pairs()
    births()
    forks()
    cycles()
