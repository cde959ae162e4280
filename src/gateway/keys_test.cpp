#include "gateway/keys.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace tacit::gateway {
namespace {

class Keys : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("tacit-keys-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<KeyStore> open() {
    auto opened = KeyStore::open(folder_ / "state.db", clock_);
    EXPECT_TRUE(opened) << opened.error().message();
    return std::move(*opened);
  }
  std::filesystem::path folder_;
  ManualClock clock_;
};

TEST_F(Keys, AKeyWorksUntilRevoked) {
  auto store = open();
  KeyView view{*store, clock_};
  EXPECT_FALSE(view.verify("tk-unknown"));
  const auto created = store->create("laptop");
  ASSERT_TRUE(created) << created.error().message();
  EXPECT_EQ(created->key.size(), 46u);
  const auto who = view.verify(created->key.reveal());
  ASSERT_TRUE(who);
  EXPECT_EQ(who->key_id, created->record.id);
  ASSERT_TRUE(store->revoke(created->record.id));
  EXPECT_FALSE(view.verify(created->key.reveal()));
  EXPECT_EQ(store->revoke(created->record.id).error().code(), Code::not_found);
  const auto records = store->list();
  ASSERT_EQ(records->size(), 1u);
  EXPECT_TRUE(records->front().revoked_unix_s);
  EXPECT_EQ(records->front().name, "laptop");
}

TEST_F(Keys, AnotherProcessesChangesAreSeen) {
  auto server = open();
  auto command = open();
  KeyView view{*server, clock_};
  const auto created = command->create("");
  ASSERT_TRUE(created);
  EXPECT_TRUE(view.verify(created->key.reveal()))
      << "an unknown key causes one look into the database";
  ASSERT_TRUE(command->revoke(created->record.id));
  EXPECT_TRUE(server->refresh().value());
  EXPECT_FALSE(view.verify(created->key.reveal()));
}

TEST_F(Keys, TheKeyIsNotOnDisk) {
  auto store = open();
  const auto created = store->create("x");
  ASSERT_TRUE(created);
  for (const auto& entry : std::filesystem::directory_iterator{folder_}) {
    std::ifstream in{entry.path(), std::ios::binary};
    std::stringstream bytes;
    bytes << in.rdbuf();
    EXPECT_EQ(bytes.str().find(created->key.reveal().substr(3)), std::string::npos) << entry.path();
  }
}

TEST_F(Keys, NamesAreChecked) {
  auto store = open();
  EXPECT_EQ(store->create(std::string(101, 'x')).error().code(), Code::invalid_argument);
  for (const auto* name : {"a\nb", "a\x1b[31m", "a\x7f",
                           "a\xC2\x9B"
                           "31m",
                           "a\xFF"}) {
    EXPECT_EQ(store->create(name).error().code(), Code::invalid_argument) << name;
  }
  EXPECT_TRUE(store->create("Zoë’s laptop\xC2\xA0\xF0\x9F\xA6\x8A"));
}

}  // namespace
}  // namespace tacit::gateway
