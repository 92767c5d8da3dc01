"""What the runner looks for over the output of many processes. Each function returns (failure or "", summary)."""
import collections
import math


def values(outputs, label):
    return [int(words[1], 0) for text in outputs for line in text.splitlines()
            if (words := line.split())[0] == label]


def entropy(numbers):
    """Of the distribution seen, in bits: at most the logarithm of how many were seen."""
    total = len(numbers)
    return sum(-n / total * math.log2(n / total) for n in collections.Counter(numbers).values())


def no_repeats(outputs):
    firsts = values(outputs, "first")
    again = len(firsts) - len(set(firsts))
    summary = f"{len(firsts)} processes, {again} addresses repeat"
    return (summary if again or len(firsts) < len(outputs) else ""), summary


def at_least(bits):
    """No process starts where another did. How far the next chunk is takes that many bits to say, and so does the
    place of a chunk in its 64 KiB. A slab of few slots has no more to give than their logarithm."""
    def look(outputs):
        failure, summary = no_repeats(outputs)
        distances = entropy(values(outputs, "distance"))
        places = entropy([v & 0xffff for v in values(outputs, "first")])
        summary += f", {distances:.1f} bits in a distance, {places:.1f} in a place"
        return (summary if distances < bits or places < bits else failure), summary
    return look
