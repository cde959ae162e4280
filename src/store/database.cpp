#include "store/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "core/text.hpp"
#include "core/unique_fd.hpp"
#include "crypto/random.hpp"
#include "store/os_error.hpp"

namespace tacit::store {
namespace {

constexpr int kBusyMs = 5000;

// SQLite's result codes as ours. SQLite's own message may quote the statement, so it stays here.
Error sqlite_error(int code, const std::filesystem::path& path) {
  const auto make = [&](Code kind, Literal what) {
    return Error{kind, what}.with("sqlite", code).about(PublicText{path.string()});
  };
  if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
      code == SQLITE_CONSTRAINT_ROWID) {
    return make(Code::already_exists, "such a row exists");
  }
  switch (code & 0xFF) {
    case SQLITE_CONSTRAINT: return make(Code::invalid_argument, "the row breaks a constraint");
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return make(Code::unavailable, "the database is busy with another process");
    case SQLITE_FULL:
      return make(Code::no_space, "no space left for the database")
          .fix("Free some space, or choose another folder with TACIT_HOME");
    case SQLITE_CORRUPT: return make(Code::corrupt, "the database is damaged");
    case SQLITE_NOTADB: return make(Code::corrupt, "not a database");
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return make(Code::permission, "the database may not be written");
    case SQLITE_CANTOPEN: return make(Code::io, "the database cannot be opened");
    case SQLITE_IOERR: return make(Code::io, "the database cannot be read or written");
    case SQLITE_TOOBIG: return make(Code::too_large, "a value is too large for the database");
    case SQLITE_ERROR:
    case SQLITE_RANGE:
    case SQLITE_MISUSE: return make(Code::invalid_argument, "wrong SQL");
    default: return make(Code::internal, "SQLite failed");
  }
}

// A new database must be private from its first moment, whatever the umask. SQLite would create it
// with the umask's mode, and the file must not be opened and closed here while SQLite has it open
// (closing any descriptor drops the process's POSIX locks on it). So an empty file, which SQLite
// takes for a new database, is made aside and linked into place.
Result<void> create_private_if_missing(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) return {};
  std::array<std::byte, 8> nonce{};
  crypto::random_bytes(nonce);
  const auto aside = path.string() + "." + to_hex(nonce) + ".tmp";
  {
    const UniqueFd fd{::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!fd) return fail(os_error(errno, "cannot create the database", path));
  }
  const int linked = ::link(aside.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(aside.c_str());
  if (linked != 0 && linked != EEXIST) {
    return fail(os_error(linked, "cannot create the database", path));
  }
  return {};
}

class Statement {
 public:
  Statement() noexcept = default;
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  sqlite3_stmt* get() const noexcept { return handle_; }
  sqlite3_stmt** out() noexcept { return &handle_; }

 private:
  sqlite3_stmt* handle_ = nullptr;
};

int bind(sqlite3_stmt* statement, int index, const Value& value) {
  return std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return sqlite3_bind_null(statement, index);
        else if constexpr (std::is_same_v<T, std::int64_t>)
          return sqlite3_bind_int64(statement, index, v);
        else if constexpr (std::is_same_v<T, double>)
          return sqlite3_bind_double(statement, index, v);
        else if constexpr (std::is_same_v<T, std::string>)
          return sqlite3_bind_text64(statement, index, v.data(), v.size(), SQLITE_STATIC,
                                     SQLITE_UTF8);
        else if (v.empty())
          return sqlite3_bind_zeroblob(statement, index, 0);
        else
          return sqlite3_bind_blob64(statement, index, v.data(), v.size(), SQLITE_STATIC);
      },
      value);
}

Value column(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER: return Value{std::int64_t{sqlite3_column_int64(statement, index)}};
    case SQLITE_FLOAT: return Value{sqlite3_column_double(statement, index)};
    case SQLITE_TEXT: {
      const auto* text = sqlite3_column_text(statement, index);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
      return Value{std::string{reinterpret_cast<const char*>(text), size}};
    }
    case SQLITE_BLOB: {
      const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement, index));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
      return Value{size == 0 ? Bytes{} : Bytes(data, data + size)};
    }
    default: return Value{};
  }
}

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(std::filesystem::path path) : path_{std::move(path)} {}
  ~SqliteDatabase() override { sqlite3_close(handle_); }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  Result<void> open(std::span<const std::string_view> migrations) {
    TACIT_CHECK(create_private_if_missing(path_));
    // The mutex below serialises, so SQLite need not do it again.
    int code = sqlite3_open_v2(path_.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                               nullptr);
    if (code != SQLITE_OK) return failure(code);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, kBusyMs);
    for (const auto [option, value] :
         {std::pair{SQLITE_DBCONFIG_DEFENSIVE, 1}, std::pair{SQLITE_DBCONFIG_DQS_DML, 0},
          std::pair{SQLITE_DBCONFIG_DQS_DDL, 0}, std::pair{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
          std::pair{SQLITE_DBCONFIG_ENABLE_FKEY, 1}}) {
      code = sqlite3_db_config(handle_, option, value, nullptr);
      if (code != SQLITE_OK) return failure(code);
    }
    TACIT_CHECK(use_wal());
    // Durable over a power cut, not only over kill -9.
    TACIT_CHECK(query("PRAGMA synchronous = FULL"));
    return migrate(migrations);
  }

  Result<std::vector<Row>> query(std::string_view sql,
                                 std::span<const Value> parameters = {}) override {
    const std::scoped_lock lock{mutex_};
    Statement statement;
    const char* rest = nullptr;
    int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), 0,
                                  statement.out(), &rest);
    if (code != SQLITE_OK) return failure(code);
    const auto tail = sql.substr(static_cast<std::size_t>(rest - sql.data()));
    if (statement.get() == nullptr ||
        tail.find_first_not_of(" \t\r\n;") != std::string_view::npos ||
        static_cast<std::size_t>(sqlite3_bind_parameter_count(statement.get())) !=
            parameters.size()) {
      return fail(Error{Code::invalid_argument, "not one statement with its parameters"}.about(
          PublicText{path_.string()}));
    }
    int index = 0;
    for (const auto& parameter : parameters) {
      code = bind(statement.get(), ++index, parameter);
      if (code != SQLITE_OK) return failure(code);
    }
    std::vector<Row> rows;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) {
      Row row;
      const int num_columns = sqlite3_column_count(statement.get());
      row.reserve(static_cast<std::size_t>(num_columns));
      for (int i = 0; i < num_columns; ++i) row.push_back(column(statement.get(), i));
      rows.push_back(std::move(row));
    }
    if (code != SQLITE_DONE) return failure(code);
    return rows;
  }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    const std::scoped_lock lock{mutex_};
    if (sqlite3_get_autocommit(handle_) == 0) {
      return fail(Code::invalid_argument, "transactions do not nest");
    }
    TACIT_CHECK(query("BEGIN IMMEDIATE"));
    const Rollback rollback{handle_};
    TACIT_CHECK(body());
    TACIT_CHECK(query("COMMIT"));
    return {};
  }

 private:
  // Leaves no transaction open, however the body ended (also by an exception).
  struct Rollback {
    explicit Rollback(sqlite3* h) : handle{h} {}
    ~Rollback() {
      if (sqlite3_get_autocommit(handle) == 0) {
        sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr);
      }
    }
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    sqlite3* handle;
  };

  std::unexpected<Error> failure(int code) const {
    if ((code & 0xFF) == SQLITE_CANTOPEN || (code & 0xFF) == SQLITE_IOERR) {
      const int number = sqlite3_system_errno(handle_);
      if (number != 0) return fail(os_error(number, "the database cannot be used", path_));
    }
    return fail(sqlite_error(code, path_));
  }

  // Several processes may open a new database at once; the switch to WAL then fails with "busy"
  // without asking the busy handler, so the waiting is done here.
  Result<void> use_wal() {
    for (int waited_ms = 0;; waited_ms += 10) {
      auto mode = query("PRAGMA journal_mode = WAL");
      if (mode) {
        const bool wal = mode->size() == 1 && std::get<std::string>(mode->front().front()) == "wal";
        if (wal) return {};
        return fail(
            Error{Code::unsupported, "write-ahead logging does not work on this file system"}
                .about(PublicText{path_.string()})
                .fix("Choose a folder on a local disk with TACIT_HOME"));
      }
      if (mode.error().code() != Code::unavailable || waited_ms >= kBusyMs) {
        return fail(std::move(mode).error());
      }
      sqlite3_sleep(10);
    }
  }

  Result<std::int64_t> version() {
    TACIT_TRY(const auto rows, query("PRAGMA user_version"));
    return std::get<std::int64_t>(rows.front().front());
  }

  Result<void> migrate(std::span<const std::string_view> migrations) {
    const auto newest = static_cast<std::int64_t>(migrations.size());
    while (true) {
      TACIT_TRY(const auto now, version());
      if (now < 0 || now > newest) {
        return fail(Error{Code::unsupported, "the database was made by a newer version"}
                        .with("version", now)
                        .with("known", newest)
                        .about(PublicText{path_.string()})
                        .fix("Use that version of tacit, or another TACIT_HOME"));
      }
      if (now == newest) return {};
      TACIT_CHECK(transaction([&]() -> Result<void> {
        TACIT_TRY(const auto again, version());  // another process may have been faster
        if (again != now) return {};
        const std::string sql{migrations[static_cast<std::size_t>(now)]};
        const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) return failure(code);
        TACIT_CHECK(query("PRAGMA user_version = " + std::to_string(now + 1)));
        return {};
      }));
    }
  }

  std::filesystem::path path_;
  std::recursive_mutex mutex_;  // recursive: a transaction's body queries
  sqlite3* handle_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path,
                                                 std::span<const std::string_view> migrations) {
  auto database = std::make_unique<SqliteDatabase>(path);
  TACIT_CHECK(database->open(migrations));
  return database;
}

}  // namespace tacit::store
