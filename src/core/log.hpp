// Structured logs that cannot carry content.
//
// A record is a literal message and typed fields: literals, numbers, booleans, error codes and
// PublicText. A std::string, a string_view or a SecretText does not convert to a field, so a prompt
// cannot be logged by mistake; tests/compile_fail proves it.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "core/error.hpp"

namespace tacit {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
std::string_view log_level_name(LogLevel level) noexcept;

struct LogField {
  template <std::integral T> LogField(Literal n, T v) : name{n.text} {
    if constexpr (std::same_as<T, bool>)
      value = v;
    else
      value = static_cast<std::int64_t>(v);
  }
  LogField(Literal n, double v) : name{n.text}, value{v} {}
  LogField(Literal n, Literal v) : name{n.text}, value{v.text} {}
  LogField(Literal n, Code v) : name{n.text}, value{code_name(v)} {}
  LogField(Literal n, const PublicText& v) : name{n.text}, value{v.str()} {}

  std::string_view name;
  std::variant<std::int64_t, double, bool, std::string_view, std::string> value;
};

// Logger receives records. Implementations are thread-safe and do not throw.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool enabled(LogLevel level) const noexcept = 0;
  virtual void write(LogLevel level, Literal message,
                     std::initializer_list<LogField> fields) noexcept = 0;

  void debug(Literal m, std::initializer_list<LogField> f = {}) noexcept {
    put(LogLevel::debug, m, f);
  }
  void info(Literal m, std::initializer_list<LogField> f = {}) noexcept {
    put(LogLevel::info, m, f);
  }
  void warning(Literal m, std::initializer_list<LogField> f = {}) noexcept {
    put(LogLevel::warning, m, f);
  }
  void error(Literal m, std::initializer_list<LogField> f = {}) noexcept {
    put(LogLevel::error, m, f);
  }

 private:
  void put(LogLevel level, Literal m, std::initializer_list<LogField> f) noexcept {
    if (enabled(level)) write(level, m, f);
  }
};

// NullLogger drops everything; for tests and tools.
class NullLogger final : public Logger {
 public:
  bool enabled(LogLevel) const noexcept override { return false; }
  void write(LogLevel, Literal, std::initializer_list<LogField>) noexcept override {}
};

// format_record renders one line, without the newline:
//   text: 2026-05-01T12:00:00.000Z INFO server.listening port=8080
//   json: {"time":"...","level":"info","message":"server.listening","port":8080}
enum class LogFormat : std::uint8_t { text, json };
std::string format_record(LogFormat format, std::int64_t unix_ms, LogLevel level,
                          std::string_view message, std::initializer_list<LogField> fields);

}  // namespace tacit
