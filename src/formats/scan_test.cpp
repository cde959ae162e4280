#include "formats/scan.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "formats/pickle_scan.hpp"
#include "formats/template_scan.hpp"
#include "formats/testing/gguf_builder.hpp"

namespace tacit::formats {
namespace {

namespace fs = std::filesystem;
using testing::GgufBuilder;

ScanVerdict verdict_of(std::string_view bytes) { return scan_bytes(as_bytes(bytes)).verdict; }

fs::path fixtures() {
  const char* named = std::getenv("TACIT_FIXTURES");
  return fs::path{named != nullptr ? named : TACIT_FIXTURES_DEFAULT} /
         "malicious-models-DO-NOT-LOAD";
}

TEST(ScanFixtures, EveryMaliciousFileIsFlaggedAndNoCleanOne) {
  if (!fs::exists(fixtures())) GTEST_SKIP() << "no fixtures here";
  std::size_t seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator{fixtures()}) {
    const auto folder = entry.path().parent_path().filename();
    if (!entry.is_regular_file() || entry.path().filename() == "README.md") continue;
    ++seen;
    const auto report = scan_file(entry.path().string());
    ASSERT_TRUE(report) << entry.path();
    if (folder == "clean") {
      EXPECT_EQ(report->verdict, ScanVerdict::clean) << entry.path();
      EXPECT_TRUE(report->findings.empty()) << entry.path() << report->findings.front().what.text;
      continue;
    }
    EXPECT_NE(report->verdict, ScanVerdict::clean) << entry.path();
    EXPECT_FALSE(report->findings.empty()) << entry.path();
    const bool odd = entry.path().extension() == ".7z" ||
                     entry.path().filename().string().starts_with("edge_cases_malformed");
    if (!odd) EXPECT_EQ(report->verdict, ScanVerdict::dangerous) << entry.path();
  }
  EXPECT_GT(seen, 80u);
}

TEST(ScanPickle, NamesWhatItWouldDo) {
  const auto report = scan_bytes(as_bytes(std::string_view{"cos\nsystem\n(S'id'\ntR."}));
  EXPECT_EQ(report.verdict, ScanVerdict::dangerous);
  EXPECT_EQ(report.kind, "pickle");
  EXPECT_EQ(report.findings.at(0).subject, "os.system");
}

TEST(ScanPickle, PlainDataAndTensorsAreClean) {
  EXPECT_EQ(verdict_of(std::string_view{"\x80\x02]q\0(K\1K\2e.", 12}), ScanVerdict::clean);
  EXPECT_EQ(verdict_of("\x80\x02"
                       "ccollections\nOrderedDict\n)R."),
            ScanVerdict::clean);
}

TEST(ScanPickle, TricksAreSeen) {
  const std::string begin = "\x80\x04";
  // Names from the memo, names that are made, a second stream, a broken end, the extension
  // registry.
  EXPECT_EQ(verdict_of(begin + "\x8c\2os\x94\x8c\6system\x93."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "NN\x93."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "N." + begin + "cos\nsystem\n."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "N.cos\nsystem\n"), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "N"), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "\x82\1."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of(begin + "ccollections\nOrderedDict\n}b."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of("(ios\nsystem\n."), ScanVerdict::dangerous);
  EXPECT_EQ(verdict_of("(cos\nsystem\nS'id'\no."), ScanVerdict::dangerous);
}

TEST(ScanPickle, NeverSaysCleanOfAPrefixOfADangerousOne) {
  const std::string whole = "\x80\x02N0cos\nsystem\nX\2\0\0\0id\x85R.";
  for (std::size_t size = 3; size <= whole.size(); ++size) {
    EXPECT_NE(verdict_of(std::string_view{whole}.substr(0, size)), ScanVerdict::clean) << size;
  }
}

TEST(ScanPickle, NumbersAreNoPickles) {
  std::mt19937 random{3};
  for (int i = 0; i < 200; ++i) {
    Bytes bytes(4096);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    if (begins_like_pickle(bytes)) continue;
    EXPECT_EQ(scan_bytes(bytes).verdict, ScanVerdict::cannot_tell) << i;
  }
}

TEST(ScanTemplate, OrdinaryOnesAreClean) {
  for (const char* text :
       {"{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}{% endfor %}",
        "{%- if tools is defined and tools|length > 0 -%}{{ tools | tojson(indent=4) }}{%- endif "
        "%}",
        "{% macro one(x) %}{{ x.name.split('/')[-1].strip() }}{% endmacro %}{{ one(m) }}",
        "{% set ns = namespace(first=true) %}{{ raise_exception('no') }}{# self.__init__ #}",
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"}) {
    const auto findings = scan_template(text);
    EXPECT_TRUE(findings.empty()) << text << ": " << findings.front().what.text << " "
                                  << findings.front().subject;
  }
}

TEST(ScanTemplate, WhatReachesOutIsDangerous) {
  for (const char* text :
       {"{{ ''.__class__ }}", "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}", "{{ x|attr(y) }}",
        "{{ self._TemplateReference }}", "{% include '/etc/passwd' %}", "{% import 'os' as o %}",
        "{{ lipsum.x }}", "{{ ''['_\\137class_\\137'] }}", "{{ g.gi_frame }}",
        "{{ open('/x') }}"}) {
    const auto findings = scan_template(text);
    ASSERT_FALSE(findings.empty()) << text;
    EXPECT_TRUE(findings.front().dangerous) << text;
  }
  EXPECT_FALSE(scan_template("{{ x").front().dangerous);
  EXPECT_FALSE(scan_template("{{ new_function(1) }}").front().dangerous);
}

TEST(Scan, GgufWithItsTemplate) {
  const auto model = [](const std::string& text) {
    return GgufBuilder{}
        .add_text("general.architecture", "llama")
        .add_text("tokenizer.chat_template", text)
        .tensor("t", {1024, 8}, 0)
        .build();
  };
  EXPECT_EQ(scan_bytes(model("{{ messages }}")).verdict, ScanVerdict::clean);
  EXPECT_EQ(scan_bytes(model("{{ ''.__class__ }}")).verdict, ScanVerdict::dangerous);
  auto cut = model("x");
  cut.resize(cut.size() - 1);
  EXPECT_EQ(scan_bytes(cut).verdict, ScanVerdict::dangerous);
}

TEST(Scan, OtherKindsAreNotCalledClean) {
  for (const std::string_view bytes : {std::string_view{"7z\xBC\xAF\x27\x1C"},
                                       std::string_view{"\x7F"
                                                        "ELF"},
                                       std::string_view{"#!/bin/sh\n"}, std::string_view{"\x89HDF"},
                                       std::string_view{"some text"}, std::string_view{""}}) {
    EXPECT_NE(verdict_of(bytes), ScanVerdict::clean);
  }
  EXPECT_EQ(verdict_of(R"({"auto_map":{"AutoModel":"x.Y"}})"), ScanVerdict::dangerous);
  EXPECT_FALSE(scan_file("/no/such/file"));
}

}  // namespace
}  // namespace tacit::formats
