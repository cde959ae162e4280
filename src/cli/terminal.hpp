// What a person sees: progress, errors, and model output made safe for a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"
#include "registry/registry.hpp"

namespace tacit::cli {

bool is_terminal(int fd) noexcept;
// Writes all of `text` to `fd`, waiting when it is full; false when nobody reads any more.
bool write_all(int fd, std::string_view text) noexcept;
void print(std::string_view text);        // standard output
void print_error(std::string_view text);  // standard error, with a newline
// "error: what (numbers): subject" and "  fix: how" on standard error; returns kExitFailure.
int report(const Error& error);

// JSON string with quotes, for --json output.
std::string json_string(std::string_view text);

// terminal_safe drops what a model could use to drive the terminal: C0 controls but tab and
// newline, DEL, and C1 controls (U+0080 to U+009F). Text for people only; pipes get the bytes as
// they are.
SecretText terminal_safe(std::string_view text);

// PullProgress draws a bar on a terminal (standard error), a line now and then elsewhere, or JSON
// events on standard output.
class PullProgress {
 public:
  enum class Style : std::uint8_t { bar, lines, json, quiet };
  PullProgress(std::string name, Style style);
  void update(const registry::Progress& progress);
  void finish();

 private:
  void draw_bar(const registry::Progress& progress);
  std::string name_;
  Style style_;
  SteadyTime begun_;
  SteadyTime last_drawn_{};
  std::uint64_t begun_bytes_ = 0;
  int last_percent_ = -1;
  bool drawn_ = false;
  bool first_ = true;
};

// BytesProgress shows how far something long has come: a bar on a terminal, nothing elsewhere.
// Called from one thread at a time.
class BytesProgress {
 public:
  BytesProgress(std::string what, PullProgress::Style style);
  void update(std::uint64_t done, std::uint64_t total);
  void finish();

 private:
  std::string what_;
  PullProgress::Style style_;
  SteadyTime last_drawn_{};
  bool drawn_ = false;
};

// Picks bar on a terminal, lines elsewhere.
PullProgress::Style progress_style(bool json, bool quiet);

}  // namespace tacit::cli
