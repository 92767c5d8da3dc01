"""What the runner looks for over the output of many processes. Each function returns (failure or "", summary)."""
import collections
import math

same_addresses = False  # an emulator may give all processes the same: then only moat's own choice is looked at


def values(outputs, label):
    return [int(words[1], 0) for text in outputs for line in text.splitlines()
            if (words := line.split())[0] == label]


def entropy(numbers):
    """Of the distribution seen, in bits: at most the logarithm of how many were seen."""
    total = len(numbers)
    return sum(-n / total * math.log2(n / total) for n in collections.Counter(numbers).values())


def share(outputs, label, of):
    return sum(values(outputs, label)) / max(sum(values(outputs, of)), 1)


def noticed(least, most):
    """What is looked at in samples is noticed about as often as it should be."""
    def look(outputs):
        part = share(outputs, "noticed", "tries")
        summary = f"{part:.1%} noticed"
        return ("" if least <= part <= most else summary), summary
    return look


def at_most(**limits):
    """How often each attempt of an attacker who arranges the heap succeeds."""
    def look(outputs):
        parts = {name: share(outputs, name, "trials") for name in limits}
        parts["spray"] = share(outputs, "spray", "sprays")
        summary = ", ".join(f"{name} {part:.2%}" for name, part in parts.items())
        return ("" if all(parts[name] <= most for name, most in limits.items()) else summary), summary
    return look


def no_repeats(outputs):
    """One pair is chance: where a large chunk lies the kernel draws of 28 bits, so that of 200 processes two agree once in
    13,000 times, and two pairs once in 10^8."""
    firsts = values(outputs, "first")
    again = len(firsts) - len(set(firsts))
    summary = f"{len(firsts)} processes, {again} addresses repeat"
    return (summary if again > 1 or len(firsts) < len(outputs) else ""), summary


def at_least(bits, place_bits=None):
    """No process starts where another did. How far the next chunk is takes that many bits to say, and so does the
    place of a chunk in its 64 KiB, or place_bits. A slab of few slots has no more to give than their logarithm."""
    def look(outputs):
        failure, summary = no_repeats(outputs)
        distances = entropy(values(outputs, "distance"))
        places = entropy([v & 0xffff for v in values(outputs, "first")])
        summary += f", {distances:.1f} bits in a distance, {places:.1f} in a place"
        failure = "" if same_addresses else failure
        return (summary if distances < bits or places < (bits if place_bits is None else place_bits) else failure), summary
    return look
