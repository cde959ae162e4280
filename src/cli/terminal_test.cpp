#include "cli/terminal.hpp"

#include <gtest/gtest.h>

namespace tacit::cli {
namespace {

TEST(TerminalSafe, KeepsTextAndDropsControls) {
  EXPECT_EQ(terminal_safe("a\tb\né漢😀").reveal(), "a\tb\né漢😀");
  EXPECT_EQ(terminal_safe("\x1b]0;title\x07x\r\x7f").reveal(), "]0;titlex");
  EXPECT_EQ(terminal_safe("a\xC2\x9B"
                          "31mb")
                .reveal(),
            "a31mb");                                         // C1 CSI
  EXPECT_EQ(terminal_safe("\xC2\xA0").reveal(), "\xC2\xA0");  // no-break space stays
}

TEST(JsonString, Escapes) { EXPECT_EQ(json_string("a\"\\\n"), R"("a\"\\\u000a")"); }

}  // namespace
}  // namespace tacit::cli
