#include "cli/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "cli/app.hpp"
#include "core/text.hpp"

namespace tacit::cli {
namespace {

constexpr Milliseconds kRedraw{100};

std::string_view phase_name(registry::Progress::Phase phase) {
  using Phase = registry::Progress::Phase;
  switch (phase) {
    case Phase::resolving: return "resolving";
    case Phase::downloading: return "downloading";
    case Phase::verifying: return "verifying";
    case Phase::done: return "done";
  }
  return "";
}

int percent_of(const registry::Progress& progress) {
  if (progress.bytes_total == 0) return 0;
  return static_cast<int>(
      std::min<std::uint64_t>(100, progress.bytes_done * 100 / progress.bytes_total));
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 80;
}

}  // namespace

bool is_terminal(int fd) noexcept { return ::isatty(fd) == 1; }

bool write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (!(n < 0 && errno == EINTR)) {
      return false;
    }
  }
  return true;
}

void print(std::string_view text) { write_all(STDOUT_FILENO, text); }

void print_error(std::string_view text) {
  std::string line{text};
  line += '\n';
  write_all(STDERR_FILENO, line);
}

int report(const Error& error) {
  print_error("error: " + error.message());
  if (!error.fix().empty()) print_error("  fix: " + std::string{error.fix()});
  return kExitFailure;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

SecretText terminal_safe(std::string_view text) {
  SecretText out;
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
    const bool c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (!c0 && !c1) continue;
    out.append(text.substr(plain, i - plain));
    if (c1) ++i;
    plain = i + 1;
  }
  out.append(text.substr(plain));
  return out;
}

PullProgress::PullProgress(std::string name, Style style)
    : name_{std::move(name)}, style_{style}, begun_{std::chrono::steady_clock::now()} {}

void PullProgress::update(const registry::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = progress.phase == registry::Progress::Phase::done;
  if (first_ && progress.bytes_done > 0) {
    first_ = false;
    begun_ = now;
    begun_bytes_ = progress.bytes_done;
  }
  if (style_ == Style::quiet || (!last && now - last_drawn_ < kRedraw)) return;
  last_drawn_ = now;
  if (style_ == Style::json) {
    print(fmt::format("{{\"model\":{},\"phase\":\"{}\",\"bytes_done\":{},\"bytes_total\":{}}}\n",
                      json_string(name_), phase_name(progress.phase), progress.bytes_done,
                      progress.bytes_total));
  } else if (style_ == Style::bar) {
    draw_bar(progress);
  } else if (const int percent = percent_of(progress);
             last || percent / 10 != last_percent_ / 10 || last_percent_ < 0) {
    last_percent_ = percent;
    print_error(fmt::format("{} {} {}% of {}", phase_name(progress.phase), name_, percent,
                            human_bytes(progress.bytes_total)));
  }
}

void PullProgress::draw_bar(const registry::Progress& progress) {
  const int percent = percent_of(progress);
  const auto elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  const auto fetched = progress.bytes_done > begun_bytes_ ? progress.bytes_done - begun_bytes_ : 0;
  const double rate = elapsed > 0.2 ? static_cast<double>(fetched) / elapsed : 0;
  std::string tail = fmt::format(" {:3}%  {} of {}", percent, human_bytes(progress.bytes_done),
                                 human_bytes(progress.bytes_total));
  if (rate > 1) {
    tail += fmt::format("  {}/s", human_bytes(static_cast<std::uint64_t>(rate)));
    const auto left = static_cast<double>(progress.bytes_total -
                                          std::min(progress.bytes_total, progress.bytes_done)) /
                      rate;
    if (progress.phase == registry::Progress::Phase::downloading)
      tail += fmt::format("  {:.0f} s left", left);
  }
  const auto head = fmt::format("{} {} ", phase_name(progress.phase), name_);
  const auto width = terminal_width();
  const auto used = head.size() + tail.size() + 3;
  const std::size_t room = width > used + 10 ? std::min<std::size_t>(40, width - used) : 0;
  std::string line = "\r\x1b[K" + head;
  if (room > 0) {
    const auto full = room * static_cast<std::size_t>(percent) / 100;
    line += "[" + std::string(full, '#') + std::string(room - full, '.') + "]";
  }
  line += tail;
  write_all(STDERR_FILENO, line);
  drawn_ = true;
}

void PullProgress::finish() {
  if (drawn_) write_all(STDERR_FILENO, "\n");
  drawn_ = false;
}

BytesProgress::BytesProgress(std::string what, PullProgress::Style style)
    : what_{std::move(what)}, style_{style} {}

void BytesProgress::update(std::uint64_t done, std::uint64_t total) {
  const auto now = std::chrono::steady_clock::now();
  if (style_ != PullProgress::Style::bar || now - last_drawn_ < kRedraw) return;
  last_drawn_ = now;
  drawn_ = true;
  const auto percent = total == 0 ? 100 : std::min<std::uint64_t>(100, done * 100 / total);
  write_all(STDERR_FILENO, fmt::format("\r\x1b[K{} {:3}%  {} of {}", what_, percent,
                                       human_bytes(done), human_bytes(total)));
}

void BytesProgress::finish() {
  if (drawn_) write_all(STDERR_FILENO, "\r\x1b[K");
  drawn_ = false;
}

PullProgress::Style progress_style(bool json, bool quiet) {
  if (json) return PullProgress::Style::json;
  if (quiet) return PullProgress::Style::quiet;
  return is_terminal(STDERR_FILENO) ? PullProgress::Style::bar : PullProgress::Style::lines;
}

}  // namespace tacit::cli
