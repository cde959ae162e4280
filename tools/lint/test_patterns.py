import unittest

import patterns

RULES = {rule.name: rule for rule in patterns.RULES}

# What each rule must see, and what it must leave alone.
BAD = {
    "output": ["std::cout << x;", "printf(\"x\");", "std::fprintf(stderr, x);", "fmt::print(\"{}\", x);", "fputs(a, b);"],
    "using-namespace": ["using namespace std;", "  using namespace boost::asio;"],
    "detached": ["co_spawn(io, f(), asio::detached);", "co_spawn(io, f(), detached);", "thread.detach();"],
    "raw-new": ["auto* p = new Thing{};", "new (place) Thing", "delete p;", "delete[] data;"],
    "getenv": ["std::getenv(\"HOME\")", "getenv(name)", "secure_getenv(name)"],
    "mutable-static": ["  static int count = 0;", "static std::map<int, int> cache;", "thread_local Buffer buffer{};",
                       "  static std::atomic<std::uint64_t> next{1};", "static auto& log = make();"],
    "assert": ["assert(x > 0);"],
    "catch-all": ["} catch (...) {"],
    "swallow": ["catch (const std::exception&) {\n}"],
    "sleep": ["std::this_thread::sleep_for(1s);", "usleep(10);"],
    "c-strings": ["strcpy(a, b);", "std::atoi(text)", "sprintf(b, f);"],
    "c-random": ["rand()", "std::srand(1);"],
    "std-regex": ["std::regex pattern{x};"],
    "unfinished": ["// TODO: later", "# FIXME", "XXX"],
    "machines": ["see /work/build/x", "/root/.cache", "cp /home/alice/x y"],
    "issue-numbers": ["see issue 12", "fixes #34", "Issue #5"],
    "lock-hosts": ['"resolved": "https://npm.example.com/x.tgz"'],
}
GOOD = {
    "output": ["spdlog::info(x);", "log.print(x);", "fmt::format(\"{}\", x);", "my_printf(x);", "snprintf(b, n, f);"],
    "using-namespace": ["using namespace std::chrono_literals;", "using Clock = std::chrono::steady_clock;"],
    "detached": ["bool is_detached_head();", "group.spawn(f());"],
    "raw-new": ["Thing(const Thing&) = delete;", "std::make_unique<Thing>()", "renew(x)", "void operator delete(void* p);",
                "int new_size = 1;", "std::unique_ptr<Store> store{new Store{path}};"],
    "getenv": ["environment.get(\"HOME\")", "my_getenv_table"],
    "mutable-static": ["static constexpr int kMax = 1;", "static const std::string name = f();", "  static Deadline never();",
                       "static int parse(std::string_view text) {", "inline constexpr int x = 1;",
                       "static_assert(sizeof(int) == 4);", "  static constexpr Deadline never() noexcept { return x; }",
                       "static Result<Thing> open(const Path& path);"],
    "assert": ["static_assert(true);", "TACIT_ASSERT(x);", "EXPECT(x)"],
    "catch-all": ["catch (const std::bad_alloc&) {"],
    "swallow": ["catch (const std::exception& e) { return fail(e); }"],
    "sleep": ["timer.sleep_until(deadline)", "co_await sleep_for_a_while;"],
    "c-strings": ["std::from_chars(a, b, c)", "text.strncpy(x)"],
    "c-random": ["random()", "grand(x)", "engine.rand()"],
    "std-regex": ["re2::Regex x;"],
    "unfinished": ["TODOS", "the list of things to do"],
    "machines": ["https://host/work/x", "~/.cache/tacit", "/var/lib/tacit", "a/root/b"],
    "issue-numbers": ["issue tokens", "&#39;", "RFC 9180", "colour #fff000", "https://x/y#12"],
    "lock-hosts": ['"resolved": "https://registry.npmjs.org/x/-/x.tgz"'],
}


class Patterns(unittest.TestCase):
    def hits(self, name, text):
        rule = RULES[name]
        path = {"using-namespace": "src/a/b.hpp", "lock-hosts": "x/package-lock.json"}.get(name, "src/a/b.cpp")
        self.assertTrue(patterns.applies(rule, path), name)
        return patterns.scan(rule, path, text + "\n")

    def test_every_rule_has_examples(self):
        self.assertEqual(set(RULES), set(BAD))
        self.assertEqual(set(RULES), set(GOOD))

    def test_bad_is_found(self):
        for name, examples in BAD.items():
            for text in examples:
                with self.subTest(rule=name, text=text):
                    self.assertTrue(self.hits(name, text))

    def test_good_is_left_alone(self):
        for name, examples in GOOD.items():
            for text in examples:
                with self.subTest(rule=name, text=text):
                    self.assertEqual(self.hits(name, text), [])

    def test_comments_and_strings_do_not_count_for_code_rules(self):
        self.assertEqual(self.hits("raw-new", '// a new Thing\nauto s = "new Thing";'), [])

    def test_line_numbers(self):
        (finding,) = self.hits("assert", "int a;\n\n  assert(a);")
        self.assertEqual(finding.line, 3)

    def test_exempt_places(self):
        self.assertFalse(patterns.applies(RULES["output"], "src/cli/run.cpp"))
        self.assertFalse(patterns.applies(RULES["output"], "src/http/server_test.cpp"))
        self.assertTrue(patterns.applies(RULES["raw-new"], "src/http/server_test.cpp"))
        self.assertFalse(patterns.applies(RULES["detached"], "src/async/task_group.cpp"))
        self.assertTrue(patterns.applies(RULES["unfinished"], "docs/architecture.md"))
        self.assertTrue(patterns.applies(RULES["unfinished"], "dev"))


class AllowLists(unittest.TestCase):
    def setUp(self):
        self.findings = patterns.scan(RULES["assert"], "src/a/b.cpp", "assert(x);\nassert(y);\n")

    def test_allowed(self):
        allowed = patterns.parse_allowed("# why\nsrc/a/b.cpp: C code from elsewhere\n")
        self.assertEqual(patterns.sift("assert", self.findings, allowed, "list"), [])

    def test_stale_entry_is_a_finding(self):
        (finding,) = patterns.sift("assert", [], {"src/a/gone.cpp": "once"}, "list")
        self.assertIn("remove its entry", finding.text)

    def test_reason_is_asked_for(self):
        (finding,) = patterns.sift("assert", self.findings, {"src/a/b.cpp": ""}, "list")
        self.assertIn("without a reason", finding.text)


class Form(unittest.TestCase):
    def test_clean(self):
        self.assertEqual(patterns.form("src/a/b.hpp", "#pragma once\nint a;\n"), [])

    def test_each(self):
        def names(path, text):
            return [finding.text.split(":")[0] for finding in patterns.form(path, text)]
        self.assertEqual(names("src/a/b.hpp", "int a;\n"), ["pragma-once"])
        self.assertEqual(names("src/a/b.cpp", "int a;"), ["final-newline"])
        self.assertEqual(names("src/a/b.cpp", "int a; \n"), ["trailing-space"])
        self.assertEqual(names("README.md", "two spaces break  \n"), [])
        self.assertEqual(names("src/a/b.cpp", "\n" * (patterns.LINES_MAX + 1)), ["file-length"])


if __name__ == "__main__":
    unittest.main()
