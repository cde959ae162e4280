#include "store/folder_lock.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using Kind = FolderLock::Kind;
using testing::Child;
using testing::TempFolder;

TEST(FolderLock, ManyShareOneExcludes) {
  const TempFolder folder;
  auto first = FolderLock::try_take(folder.path(), Kind::shared).value();
  auto second = FolderLock::try_take(folder.path(), Kind::shared).value();
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(FolderLock::try_take(folder.path(), Kind::exclusive).value());
  first.reset();
  second.reset();
  auto alone = FolderLock::try_take(folder.path(), Kind::exclusive).value();
  ASSERT_TRUE(alone);
  EXPECT_FALSE(FolderLock::try_take(folder.path(), Kind::shared).value());
}

TEST(FolderLock, DiesWithItsOwner) {
  const TempFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  Child owner{[&] {
    const auto lock =
        FolderLock::take(folder.path(), Kind::exclusive, Deadline::after(Seconds{60}));
    const char sign = lock ? 'y' : 'n';
    static_cast<void>(::write(ready[1], &sign, 1));
    ::pause();
    return 0;
  }};
  char sign = 0;
  ASSERT_EQ(::read(ready[0], &sign, 1), 1);
  ASSERT_EQ(sign, 'y');
  EXPECT_FALSE(FolderLock::try_take(folder.path(), Kind::shared).value());
  owner.kill();
  owner.wait();
  EXPECT_TRUE(FolderLock::take(folder.path(), Kind::shared, Deadline::after(Seconds{60})));
}

TEST(FolderLock, SaysWhenOthersHaveIt) {
  const TempFolder folder;
  const auto held = FolderLock::try_take(folder.path(), Kind::shared).value();
  const auto refused =
      FolderLock::take(folder.path(), Kind::exclusive, Deadline::after(Milliseconds{1}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
}

TEST(FolderLock, NamesAFolderThatIsNotThere) {
  const auto refused = FolderLock::try_take("/no/such/folder", Kind::shared);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::not_found);
  EXPECT_NE(refused.error().message().find("/no/such/folder/lock"), std::string::npos);
}

}  // namespace
}  // namespace tacit::store
