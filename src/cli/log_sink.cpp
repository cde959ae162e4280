#include "cli/log_sink.hpp"

#include <unistd.h>

namespace tacit::cli {

FdLogger::FdLogger(int fd, LogLevel level, LogFormat format, const Clock& clock)
    : fd_{fd}, level_{level}, format_{format}, clock_{clock} {}

void FdLogger::write(LogLevel level, Literal message,
                     std::initializer_list<LogField> fields) noexcept {
  const auto ms =
      std::chrono::duration_cast<Milliseconds>(clock_.wall().time_since_epoch()).count();
  auto line = format_record(format_, ms, level, message.text, fields);
  line += '\n';
  [[maybe_unused]] const auto written = ::write(fd_, line.data(), line.size());
}

std::optional<LogLevel> parse_log_level(std::string_view name) noexcept {
  for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
    if (log_level_name(level) == name) return level;
  }
  return std::nullopt;
}

}  // namespace tacit::cli
