#include "store/output_file.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <iterator>

#include "store/file.hpp"
#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using testing::TempFolder;

std::ptrdiff_t files_in(const TempFolder& folder) {
  return std::distance(std::filesystem::directory_iterator{folder.path()},
                       std::filesystem::directory_iterator{});
}

TEST(OutputFile, HasItsNameOnceItIsWhole) {
  const TempFolder folder;
  auto file = OutputFile::create(folder / "a.tar", 6);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->append(as_bytes("abc")));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tar"));
  ASSERT_TRUE(file->append(as_bytes("def")));
  EXPECT_EQ(file->size_bytes(), 6u);
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(as_text(read_file(folder / "a.tar", 10).value()), "abcdef");
  EXPECT_EQ(files_in(folder), 1);
}

TEST(OutputFile, LeavesNothingOtherwise) {
  const TempFolder folder;
  {
    auto file = OutputFile::create(folder / "a.tar", 3);
    ASSERT_TRUE(file && file->append(as_bytes("abc")));
  }
  EXPECT_EQ(files_in(folder), 0);
}

TEST(OutputFile, TheNextAttemptTakesAwayWhatADeadOneLeft) {
  const TempFolder folder;
  EXPECT_EQ(testing::in_child([&] {
              auto file = OutputFile::create(folder / "a.tar", 3);
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            -SIGKILL);
  EXPECT_EQ(files_in(folder), 1);
  auto file = OutputFile::create(folder / "a.tar", 3);
  ASSERT_TRUE(file);
  EXPECT_EQ(files_in(folder), 1);
}

TEST(OutputFile, SaysWhatIsNeededAndWhatThereIs) {
  const TempFolder folder;
  const auto file = OutputFile::create(folder / "a.tar", 1ull << 60);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code(), Code::no_space);
  EXPECT_EQ(file.error().value("need"), std::int64_t{1} << 60);
  EXPECT_GT(file.error().value("have"), 0);
  EXPECT_NE(file.error().subject().find("a.tar"), std::string::npos);
  EXPECT_EQ(files_in(folder), 0);
}

}  // namespace
}  // namespace tacit::store
