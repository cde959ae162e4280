import unittest

import layers

DECLARED = {
    "modules": [
        {"name": "core", "layer": 0, "depends": [], "third_party": ["fmt"]},
        {"name": "crypto", "layer": 1, "depends": ["core"], "third_party": ["openssl"]},
        {"name": "async", "layer": 1, "depends": ["core"], "third_party": ["asio"]},
        {"name": "http", "layer": 2, "depends": ["core", "async"], "third_party": ["beast"]},
    ],
    "third_party": {"fmt": ["fmt/"], "openssl": ["openssl/"], "asio": ["boost/asio", "boost/system"],
                    "beast": ["boost/beast"], "gtest": ["gtest/"], "llama": ["llama", "common.h"]},
}


def texts(findings):
    return [finding.text for finding in findings]


class Includes(unittest.TestCase):
    def check(self, path, text):
        return layers.check_includes(DECLARED, {path: text, "src/http/server.hpp": ""})

    def test_declared_edges_pass(self):
        self.assertEqual(self.check("src/http/server.cpp", '#include "http/server.hpp"\n#include "async/runtime.hpp"\n'
                                    "#include <boost/beast/core.hpp>\n#include <boost/asio/ssl.hpp>\n#include <vector>\n"), [])

    def test_undeclared_edge(self):
        (finding,) = self.check("src/http/server.cpp", '\n#include "crypto/hash.hpp"\n')
        self.assertEqual((finding.path, finding.line), ("src/http/server.cpp", 2))
        self.assertIn("does not declare crypto", finding.text)

    def test_upward_edge(self):
        (finding,) = self.check("src/async/runtime.cpp", '#include "http/server.hpp"\n')
        self.assertIn("strictly downwards", finding.text)

    def test_foreign_header(self):
        (finding,) = self.check("src/http/server.cpp", "#include <openssl/ssl.h>\n")
        self.assertIn("third party 'openssl'", finding.text)

    def test_quoted_foreign_header(self):
        (finding,) = self.check("src/http/server.cpp", '#include "common.h"\n')
        self.assertIn("third party 'llama'", finding.text)

    def test_gtest_in_tests_only(self):
        self.assertEqual(self.check("src/core/a_test.cpp", "#include <gtest/gtest.h>\n"), [])
        self.assertEqual(len(self.check("src/core/a.cpp", "#include <gtest/gtest.h>\n")), 1)

    def test_include_without_its_module(self):
        (finding,) = self.check("src/http/client.cpp", '#include "server.hpp"\n')
        self.assertIn('"http/server.hpp"', finding.text)

    def test_main_sees_everything(self):
        self.assertEqual(self.check("src/main.cpp", '#include "crypto/hash.hpp"\n'), [])


class Declarations(unittest.TestCase):
    def test_good(self):
        self.assertEqual(layers.check_declarations(DECLARED), [])

    def test_same_layer_upward_and_unknown(self):
        wrong = {"modules": [{"name": "a", "layer": 1, "depends": ["b", "ghost"], "third_party": ["nothing"]},
                             {"name": "b", "layer": 1, "depends": [], "third_party": []}], "third_party": {}}
        found = texts(layers.check_declarations(wrong))
        self.assertEqual(len(found), 3)
        self.assertTrue(any("strictly downwards" in text for text in found))
        self.assertTrue(any("no module" in text for text in found))
        self.assertTrue(any("'nothing'" in text for text in found))


class Folders(unittest.TestCase):
    def test_missing_readme_and_stray_folder(self):
        names = {module["name"] for module in DECLARED["modules"]}
        whole = {"CMakeLists.txt", "README.md"}
        present = {name: whole for name in names} | {"http": {"CMakeLists.txt"}}
        found = layers.check_folders(DECLARED, names | {"utils"}, present)
        self.assertEqual([finding.path for finding in found], ["src/utils", "src/http/README.md"])


class Namespaces(unittest.TestCase):
    def check(self, path, text):
        return layers.check_namespaces(DECLARED, {path: text})

    def test_own(self):
        self.assertEqual(self.check("src/http/a.hpp", "namespace tacit::http {\nclass A;\n}\n"), [])
        self.assertEqual(self.check("src/core/a.hpp", "namespace tacit {\nclass A;\n}\n"), [])
        self.assertEqual(self.check("src/http/a.hpp", "namespace tacit::http::detail {\n}\n"), [])

    def test_none(self):
        (finding,) = self.check("src/http/a.hpp", "class A;\n")
        self.assertIn("tacit::http", finding.text)

    def test_foreign(self):
        (finding,) = self.check("src/http/a.hpp", "namespace tacit::http {}\nnamespace tacit::core {\nint f();\n}\n")
        self.assertEqual(finding.line, 2)

    def test_forward_declarations_are_welcome(self):
        self.assertEqual(self.check("src/http/a.hpp", "namespace tacit::async {\nclass Runtime;\nstruct X;\n}\n"
                                    "namespace tacit::http {\n}\n"), [])

    def test_specialisations(self):
        self.assertEqual(self.check("src/http/a.hpp", "namespace tacit::http {\n}\nnamespace std {\n}\n"), [])

    def test_word_in_comment(self):
        self.assertEqual(self.check("src/http/a.hpp", "// namespace other {\nnamespace tacit::http {\n}\n"), [])


if __name__ == "__main__":
    unittest.main()
