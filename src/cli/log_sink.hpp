// Logs to a file descriptor: one line per record, one write(2) per line.
#pragma once

#include <optional>
#include <string_view>

#include "core/log.hpp"
#include "core/time.hpp"

namespace tacit::cli {

// FdLogger is thread-safe; a line is written whole or, when the descriptor is full or gone,
// dropped.
class FdLogger final : public Logger {
 public:
  FdLogger(int fd, LogLevel level, LogFormat format, const Clock& clock);
  bool enabled(LogLevel level) const noexcept override { return level >= level_; }
  void write(LogLevel level, Literal message,
             std::initializer_list<LogField> fields) noexcept override;

 private:
  int fd_;
  LogLevel level_;
  LogFormat format_;
  const Clock& clock_;
};

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept;

}  // namespace tacit::cli
