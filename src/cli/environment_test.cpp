#include "cli/environment.hpp"

#include <gtest/gtest.h>

#include <map>

namespace tacit::cli {
namespace {

Environment with(std::map<std::string, std::string> variables) {
  return Environment{
      [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional{found->second};
      }};
}

TEST(Environment, HomeIsTheFirstThatIsSet) {
  EXPECT_EQ(with({{"HOME", "/h"}}).home(), "/h/.local/share/tacit");
  EXPECT_EQ(with({{"HOME", "/h"}, {"XDG_DATA_HOME", "/x"}}).home(), "/x/tacit");
  auto all = with({{"HOME", "/h"}, {"XDG_DATA_HOME", "/x"}, {"TACIT_HOME", "/t"}});
  EXPECT_EQ(all.home(), "/t");
  all.set_home("/o");
  EXPECT_EQ(all.home(), "/o");
  EXPECT_EQ(all.models(), "/o/models");
}

TEST(Environment, AHomeThatCannotBeMadeIsNamed) {
  const auto made = with({{"TACIT_HOME", "/proc/tacit"}}).make_home();
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().explain().find("/proc/tacit"), std::string::npos);
  EXPECT_NE(made.error().fix().find("TACIT_HOME"), std::string::npos);
}

TEST(Environment, ProgramIsAbsolute) {
  EXPECT_TRUE(Environment::program().value().starts_with('/'));
}

}  // namespace
}  // namespace tacit::cli
