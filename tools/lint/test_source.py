import unittest

from source import code_only, includes


class CodeOnly(unittest.TestCase):
    def test_positions_stay(self):
        text = 'int a; // b\nauto s = "x\\"y"; /* c\n d */ int e;\n'
        code = code_only(text)
        self.assertEqual(len(code), len(text))
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertEqual(code.index("int e"), text.index("int e"))

    def test_comments_and_literals_go(self):
        code = code_only('f("new X"); // delete it\nchar c = \'"\'; g();')
        self.assertNotIn("new", code)
        self.assertNotIn("delete", code)
        self.assertIn("g();", code)

    def test_raw_strings(self):
        code = code_only('auto s = R"(a "quoted" // text)"; new_thing();')
        self.assertNotIn("quoted", code)
        self.assertIn("new_thing();", code)
        self.assertIn("after", code_only('auto s = R"x(a )" b)x"; after();'))

    def test_digit_separators_are_no_characters(self):
        self.assertIn("b = 2'000", code_only("int a = 1'000'000; int b = 2'000;"))

    def test_comment_signs_inside_strings(self):
        self.assertIn("after", code_only('auto u = "http://host"; after();'))


class Includes(unittest.TestCase):
    def test_both_forms_with_lines(self):
        found = includes('#pragma once\n#include <vector>\n  #  include "core/bytes.hpp"\n')
        self.assertEqual([(i.line, i.path, i.quoted) for i in found],
                         [(2, "vector", False), (3, "core/bytes.hpp", True)])

    def test_commented_out(self):
        self.assertEqual(includes('// #include "a/b.hpp"\n/*\n#include "c/d.hpp"\n*/\n'), [])


if __name__ == "__main__":
    unittest.main()
