#include "core/log.hpp"

#include <chrono>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

namespace tacit {
namespace {

std::string timestamp(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     unix_ms % 1000);
}

// A JSON string; also used for text values with spaces. Control bytes are escaped, so one record is
// always one line.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string value_text(const LogField& field, bool json) {
  return std::visit(
      [&](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>)
          return v ? "true" : "false";
        else if constexpr (std::is_same_v<T, std::int64_t>)
          return fmt::format("{}", v);
        else if constexpr (std::is_same_v<T, double>)
          return std::isfinite(v) ? fmt::format("{:.6g}", v) : "null";
        else {
          const std::string_view text{v};
          const bool plain = !json && !text.empty() &&
                             text.find_first_of(" \"\\=\n\r\t") == std::string_view::npos;
          return plain ? std::string{text} : quoted(text);
        }
      },
      field.value);
}

}  // namespace

std::string_view log_level_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "unknown";
}

std::string format_record(LogFormat format, std::int64_t unix_ms, LogLevel level,
                          std::string_view message, std::initializer_list<LogField> fields) {
  const bool json = format == LogFormat::json;
  std::string line =
      json ? fmt::format(R"({{"time":"{}","level":"{}","message":{})", timestamp(unix_ms),
                         log_level_name(level), quoted(message))
           : fmt::format("{} {:<7} {}", timestamp(unix_ms), log_level_name(level), message);
  for (const auto& field : fields) {
    line += json ? fmt::format(R"(,{}:{})", quoted(field.name), value_text(field, true))
                 : fmt::format(" {}={}", field.name, value_text(field, false));
  }
  if (json) line += '}';
  return line;
}

}  // namespace tacit
