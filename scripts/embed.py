#!/usr/bin/env python3
"""Writes a C++ source that holds a text file, so that a program finds it wherever it is installed.

    embed.py INPUT OUTPUT HEADER FUNCTION    FUNCTION() of HEADER answers INPUT's text
"""
import pathlib
import sys

CHUNK = 8000  # Compilers need not take longer literals.


def main():
    source, target, header, function = sys.argv[1:]
    text = pathlib.Path(source).read_bytes()
    chunks = [text[at:at + CHUNK] for at in range(0, len(text), CHUNK)]
    literals = "\n".join('    "' + "".join(escape(byte) for byte in chunk) + '"' for chunk in chunks)
    namespace = "joinery::tools"
    pathlib.Path(target).write_text(
        f'#include "{header}"\n\nnamespace {namespace} {{\n\n'
        f"std::string_view {function}() {{\n    static constexpr char kText[] =\n{literals};\n"
        f"    return {{kText, sizeof kText - 1}};\n}}\n\n}}  // namespace {namespace}\n",
        encoding="ascii")


def escape(byte):
    if byte == 0x0A:
        return "\\n"
    if chr(byte) in '"\\?':
        return "\\" + chr(byte)
    # Three octal digits end by themselves, whatever follows.
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


if __name__ == "__main__":
    main()
