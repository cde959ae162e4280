#include "store/database.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "store/file.hpp"
#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using testing::Child;
using testing::in_child;
using testing::TempFolder;

constexpr std::array<std::string_view, 2> kMigrations{
    "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
    "CREATE TABLE child (parent INTEGER REFERENCES parent(id), note BLOB);",
    "ALTER TABLE parent ADD COLUMN weight REAL;"};

std::unique_ptr<Database> open(const TempFolder& folder) {
  return Database::open(folder / "state.db", kMigrations).value();
}

std::int64_t count(Database& database, std::string_view table) {
  const auto rows = database.query("SELECT count(*) FROM " + std::string{table}).value();
  return std::get<std::int64_t>(rows.at(0).at(0));
}

TEST(Database, RoundTripsEveryKindOfValue) {
  const TempFolder folder;
  auto database = open(folder);
  const std::vector<Value> values{std::monostate{},
                                  std::int64_t{-5},
                                  2.5,
                                  std::string{"t\0x", 3},
                                  Bytes{std::byte{0}, std::byte{255}},
                                  Bytes{},
                                  std::string{}};
  const auto rows = database->query("SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7", values).value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], values);
}

TEST(Database, IsPrivateWhateverTheUmask) {
  const TempFolder folder;
  const auto umask_before = ::umask(0);
  auto database = open(folder);
  ASSERT_TRUE(database->query("INSERT INTO parent (name) VALUES ('a')"));
  ::umask(umask_before);
  for (const auto* name : {"state.db", "state.db-wal", "state.db-shm"}) {
    struct stat info{};
    ASSERT_EQ(::stat((folder / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST(Database, SaysWhatWentWrong) {
  const TempFolder folder;
  auto database = open(folder);
  ASSERT_TRUE(database->query("INSERT INTO parent (name) VALUES ('a')"));
  EXPECT_EQ(database->query("INSERT INTO parent (name) VALUES ('a')").error().code(),
            Code::already_exists);
  EXPECT_EQ(database->query("INSERT INTO child (parent) VALUES (99)").error().code(),
            Code::invalid_argument);  // foreign keys are on
  EXPECT_EQ(database->query("SELEKT 1").error().code(), Code::invalid_argument);
  EXPECT_EQ(database->query("").error().code(), Code::invalid_argument);
  EXPECT_EQ(database->query("SELECT 1; SELECT 2").error().code(), Code::invalid_argument);
  EXPECT_EQ(database->query("SELECT ?1").error().code(), Code::invalid_argument);
  EXPECT_TRUE(database->query("SELECT 1 ;\n "));
}

TEST(Database, ErrorsCarryNoValues) {
  const TempFolder folder;
  auto database = open(folder);
  const std::array<Value, 1> canary{std::string{"canary-5519"}};
  ASSERT_TRUE(database->query("INSERT INTO parent (name) VALUES (?1)", canary));
  const auto again = database->query("INSERT INTO parent (name) VALUES (?1)", canary);
  EXPECT_EQ(again.error().explain().find("canary"), std::string::npos);
}

TEST(Database, MigratesFromEveryVersion) {
  const TempFolder folder;
  const auto path = folder / "state.db";
  {
    auto old = Database::open(path, std::span{kMigrations}.first(1)).value();
    ASSERT_TRUE(old->query("INSERT INTO parent (name) VALUES ('kept')"));
  }
  auto database = open(folder);
  EXPECT_EQ(database->query("SELECT name, weight FROM parent").value().at(0).at(0),
            Value{std::string{"kept"}});
  database.reset();
  const auto older_program = Database::open(path, std::span{kMigrations}.first(1));
  ASSERT_FALSE(older_program);
  EXPECT_EQ(older_program.error().code(), Code::unsupported);
  EXPECT_EQ(older_program.error().value("version"), 2);
}

TEST(Database, AFailedMigrationLeavesTheVersionBefore) {
  const TempFolder folder;
  const auto path = folder / "state.db";
  const std::array<std::string_view, 2> broken{kMigrations[0],
                                               "CREATE TABLE half (id INTEGER); NONSENSE;"};
  EXPECT_FALSE(Database::open(path, broken));
  auto database = open(folder);  // the right second step still applies
  EXPECT_FALSE(database->query("SELECT * FROM half"));
}

TEST(Database, ATransactionHappensWholeOrNotAtAll) {
  const TempFolder folder;
  auto database = open(folder);
  EXPECT_TRUE(database->transaction([&]() -> Result<void> {
    TACIT_CHECK(database->query("INSERT INTO parent (name) VALUES ('a')"));
    TACIT_CHECK(database->query("INSERT INTO parent (name) VALUES ('b')"));
    return {};
  }));
  EXPECT_EQ(count(*database, "parent"), 2);
  const auto failed = database->transaction([&]() -> Result<void> {
    TACIT_CHECK(database->query("DELETE FROM parent"));
    return fail(Code::cancelled, "changed my mind");
  });
  EXPECT_EQ(failed.error().code(), Code::cancelled);
  EXPECT_EQ(count(*database, "parent"), 2);
  EXPECT_THROW(static_cast<void>(database->transaction([&]() -> Result<void> {
                 TACIT_CHECK(database->query("DELETE FROM parent"));
                 throw std::runtime_error{"a bug"};
               })),
               std::runtime_error);
  EXPECT_EQ(count(*database, "parent"), 2);
  EXPECT_EQ(
      database
          ->transaction([&] { return database->transaction([]() -> Result<void> { return {}; }); })
          .error()
          .code(),
      Code::invalid_argument);
  EXPECT_TRUE(database->query("DELETE FROM parent"));
}

TEST(Database, RefusesWhatIsNoDatabase) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "state.db", as_bytes(std::string(4096, 'x'))));
  EXPECT_EQ(Database::open(folder / "state.db", kMigrations).error().code(), Code::corrupt);
  EXPECT_EQ(Database::open(folder / "none" / "state.db", kMigrations).error().code(),
            Code::not_found);
}

// Processes and threads that open the same new database at the same moment all succeed, and no
// increment is lost.
TEST(Database, ManyOpenAndWriteAtOnce) {
  const TempFolder folder;
  const auto work = [&] {
    auto database = Database::open(folder / "state.db", kMigrations);
    if (!database) return 1;
    for (int i = 0; i < 20; ++i) {
      const auto done = (*database)->transaction([&]() -> Result<void> {
        TACIT_CHECK((*database)->query("INSERT INTO parent (name) VALUES (NULL)"));
        return {};
      });
      if (!done) return 2;
    }
    return 0;
  };
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 4; ++i) children.push_back(std::make_unique<Child>(work));
  for (auto& child : children) EXPECT_EQ(child->wait(), 0);
  EXPECT_EQ(count(*open(folder), "parent"), 80);
}

TEST(Database, OneConnectionServesManyThreads) {
  const TempFolder folder;
  auto database = open(folder);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 25; ++j) {
          EXPECT_TRUE(database->query("INSERT INTO parent (name) VALUES (NULL)"));
        }
      });
    }
  }
  EXPECT_EQ(count(*database, "parent"), 100);
}

TEST(Database, KeepsWhatWasCommittedBeforeAKill) {
  const TempFolder folder;
  const int code = in_child([&] {
    auto database = open(folder);
    if (!database->query("INSERT INTO parent (name) VALUES ('kept')")) return 1;
    if (!database->query("BEGIN")) return 1;
    if (!database->query("INSERT INTO parent (name) VALUES ('lost')")) return 1;
    ::kill(::getpid(), SIGKILL);
    return 1;
  });
  EXPECT_EQ(code, -SIGKILL);
  EXPECT_EQ(count(*open(folder), "parent"), 1);
}

}  // namespace
}  // namespace tacit::store
