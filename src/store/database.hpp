// A small, typed wrapper over SQLite (WAL mode).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::store {

using Value = std::variant<std::monostate, std::int64_t, double, std::string, Bytes>;
using Row = std::vector<Value>;

// Database is one connection. Thread-safe (serialised); busy waits up to 5 s for other processes.
class Database {
 public:
  // Opens or creates (mode 0600), sets WAL, and brings the schema up to date: migrations[i] is the
  // SQL that leads from version i to i+1, run in a transaction each; the version is kept in
  // user_version. Errors: permission, io, corrupt (not a database), unsupported (made by a newer
  // version), no_space.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path,
                                                std::span<const std::string_view> migrations);
  virtual ~Database() = default;

  // Runs one statement with positional parameters (?1, ?2...), and returns its rows.
  // Errors: invalid_argument (SQL, a bug), already_exists (unique constraint), no_space, io,
  // unavailable (busy).
  virtual Result<std::vector<Row>> query(std::string_view sql,
                                         std::span<const Value> parameters = {}) = 0;
  // Runs `body` in one immediate transaction; rolls back when it returns an error.
  virtual Result<void> transaction(const std::function<Result<void>()>& body) = 0;
};

}  // namespace tacit::store
