#!/usr/bin/env python3
"""Names the tests of a source file that start threads, as a pattern for --filter of main.c: threaded.py FILE [NOT]...

The thread sanitizer can find nothing in the others. A test starts threads when its text, or a function of the file that
it names, directly or through others, has pthread_create or std::thread. NOT: suite/name of those to leave out.
"""
import re
import sys

STARTS = r"\bpthread_create\b|\bstd::thread\b"
DEFINITION = re.compile(r"^(?=\w)(?!typedef|extern|#)[^;{}]*?\b(\w+) ?\(([^;{}]*)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    bodies, tests = {}, []
    for name, arguments, body in DEFINITION.findall(text):
        if name == "Test":
            words = re.findall(r"\w+", arguments)
            name = f"{words[0]}/{words[1]}"
            tests.append(name)
        bodies[name] = bodies.get(name, "") + body
    starting = {name for name, body in bodies.items() if re.search(STARTS, body)}
    while True:
        words = r"\b(" + "|".join(re.escape(n) for n in sorted(starting)) + r")\b"
        more = {name for name, body in bodies.items() if name not in starting and re.search(words, body)}
        if not starting or not more:
            break
        starting |= more
    chosen = [test for test in tests if test in starting and test not in sys.argv[2:]]
    if len(re.findall(r"^Test\(", text, re.MULTILINE)) != len(tests):
        sys.exit(f"{sys.argv[1]}: a test is not understood")
    print("@(" + "|".join(chosen) + ")" if chosen else "")


if __name__ == "__main__":
    main()
