import pathlib
import tempfile
import unittest

import tidy


class Key(unittest.TestCase):
    def test_everything_counts(self):
        base = tidy.key_of("19", "checks", "clang -c a", [("a.cpp", "int a;"), ("a.hpp", "int b;")])
        self.assertEqual(base, tidy.key_of("19", "checks", "clang -c a", [("a.hpp", "int b;"), ("a.cpp", "int a;")]))
        for other in (("20", "checks", "clang -c a", [("a.cpp", "int a;"), ("a.hpp", "int b;")]),
                      ("19", "more", "clang -c a", [("a.cpp", "int a;"), ("a.hpp", "int b;")]),
                      ("19", "checks", "clang -O2 -c a", [("a.cpp", "int a;"), ("a.hpp", "int b;")]),
                      ("19", "checks", "clang -c a", [("a.cpp", "int a;"), ("a.hpp", "int c;")])):
            self.assertNotEqual(base, tidy.key_of(*other))


class Reached(unittest.TestCase):
    def test_headers_of_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"src/a/a.cpp": '#include "a/a.hpp"\n#include <vector>\n', "src/a/a.hpp": '#include "b/b.hpp"\n',
                               "src/b/b.hpp": '#include "a/a.hpp"\n', "src/c/c.hpp": ""}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            found = tidy.reached(root, root / "src/a/a.cpp", {})
            self.assertEqual(sorted(path.name for path in found), ["a.cpp", "a.hpp", "b.hpp"])


class Messages(unittest.TestCase):
    def test_parsed_once_each(self):
        root = pathlib.Path("/tree")
        output = ("/tree/src/a/a.cpp:3:5: error: 'x' used after it was moved [bugprone-use-after-move]\n    x.f();\n"
                  "/tree/src/a/a.cpp:3:5: error: 'x' used after it was moved [bugprone-use-after-move]\n"
                  "/tree/src/a/a.cpp:2:1: note: move occurred here\n")
        (finding,) = tidy.messages(root, "src/a/a.cpp", output)
        self.assertEqual((finding.path, finding.line), ("src/a/a.cpp", 3))

    def test_unknown_failure_is_shown_whole(self):
        (finding,) = tidy.messages(pathlib.Path("/tree"), "src/a/a.cpp", "stack overflow")
        self.assertIn("stack overflow", finding.text)


    def test_files_of_others_are_left_out_unless_they_do_not_compile(self):
        output = ("/usr/include/boost/asio/impl/awaitable.hpp:165:3: error: Called C++ object pointer is uninitialized "
                  "[clang-analyzer-core.CallAndMessage,-warnings-as-errors]\n")
        self.assertEqual(tidy.messages(pathlib.Path("/tree"), "src/a/a.cpp", output), [])
        broken = "/usr/include/x.hpp:1:1: error: unknown type name 'y' [clang-diagnostic-error]\n"
        self.assertEqual(len(tidy.messages(pathlib.Path("/tree"), "src/a/a.cpp", broken)), 1)


class Relevant(unittest.TestCase):
    def test_product_sources_only(self):
        self.assertTrue(tidy.relevant("src/http/server.cpp", []))
        self.assertFalse(tidy.relevant("src/http/server_test.cpp", []))
        self.assertFalse(tidy.relevant("bench/x.cpp", []))
        self.assertTrue(tidy.relevant("src/http/server.cpp", ["http/"]))
        self.assertFalse(tidy.relevant("src/http/server.cpp", ["engine/"]))


if __name__ == "__main__":
    unittest.main()
