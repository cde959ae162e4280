// Expected failures as values.
//
// Result<T> is what every function that may fail in normal life returns. Exceptions are for bugs
// and for third-party edges. The text of an Error is a literal checked at compile time, so that no
// prompt and no secret can reach a log or a reply through an error; numbers and vetted public names
// may be attached. Values are immutable once built; safe to share between threads.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace tacit {

// Code classifies a failure for programs. Callers branch on the code, never on the text.
// The one table that maps codes to HTTP statuses is api/error_map.hpp.
enum class Code : std::uint8_t {
  invalid_argument,  // the caller's value is wrong; repeating it cannot help
  malformed,         // bytes do not follow their format
  unsupported,       // understood, but not offered
  too_large,         // over a limit of size, count or depth
  context_exceeded,  // prompt (and requested output) do not fit the model's context
  not_found,
  already_exists,
  unauthenticated,  // no or unknown credential
  forbidden,        // known, but not allowed
  rate_limited,     // over a quota; retry later
  overloaded,       // queues are full; retry later
  shutting_down,    // draining; no new work
  cancelled,        // the caller went away or asked to stop
  deadline_exceeded,
  unavailable,  // a peer or a resource cannot be reached
  worker_lost,  // the engine worker ended during the request
  corrupt,      // bytes differ from what was promised (hash, size)
  io,           // the operating system failed a read, write, open...
  no_space,     // disk full or quota
  permission,   // the operating system said no
  internal,     // a bug; the log has more
};

// code_name returns the snake_case name of `code`, for logs and JSON.
std::string_view code_name(Code code) noexcept;

// Literal is text known at compile time: a run-time string does not convert to it.
struct Literal {
  consteval Literal(const char* s) : text{s} {}  // NOLINT(google-explicit-constructor)
  std::string_view text;
};

// PublicText is text that its maker vouches for as free of content and secrets: a file path, a
// model name, a host. Building one is explicit, so that reviewers can find every place that
// vouches.
class PublicText {
 public:
  explicit PublicText(std::string text) : text_{std::move(text)} {}
  const std::string& str() const noexcept { return text_; }

 private:
  std::string text_;
};

// Error says what failed (literal), optionally about what (public text), with up to two numbers
// (typically the actual value and the limit), and optionally how to fix it (literal).
class [[nodiscard]] Error {
 public:
  Error(Code code, Literal what) : code_{code}, what_{what.text} {}

  Code code() const noexcept { return code_; }
  std::string_view what() const noexcept { return what_; }
  std::string_view fix() const noexcept { return fix_; }
  const std::string& subject() const noexcept { return subject_; }

  // Builders; each returns the error, so that they chain: fail(code, "x").with("limit", 4).
  Error with(Literal name, std::int64_t value) &&;
  Error about(PublicText subject) &&;
  Error fix(Literal how) &&;

  // The value attached under `name`, or `otherwise`.
  std::int64_t value(std::string_view name, std::int64_t otherwise = 0) const noexcept;

  // "what (name 12, limit 10): subject". One line, no fix.
  std::string message() const;
  // message(), and the fix in a second sentence when there is one. For people.
  std::string explain() const;

 private:
  struct Detail {
    std::string_view name;
    std::int64_t value{};
  };
  Code code_;
  std::string_view what_;
  std::string_view fix_;
  std::string subject_;
  std::array<Detail, 2> details_{};
  std::uint8_t num_details_ = 0;
};

template <class T> using Result = std::expected<T, Error>;

// fail builds the error arm of any Result: `return fail(Code::malformed, "trailing bytes");`
inline std::unexpected<Error> fail(Code code, Literal what) {
  return std::unexpected<Error>{Error{code, what}};
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected<Error>{std::move(error)}; }

}  // namespace tacit

#define TACIT_CAT_(a, b) a##b
#define TACIT_CAT(a, b) TACIT_CAT_(a, b)

// TACIT_TRY(auto x, expression) declares x from the value of a Result, or returns its error.
#define TACIT_TRY(decl, ...) \
  TACIT_TRY_(TACIT_CAT(tacit_try_, __COUNTER__), decl, return, __VA_ARGS__)
// TACIT_CO_TRY is the same for coroutines.
#define TACIT_CO_TRY(decl, ...) \
  TACIT_TRY_(TACIT_CAT(tacit_try_, __COUNTER__), decl, co_return, __VA_ARGS__)
#define TACIT_TRY_(tmp, decl, leave, ...)                  \
  auto tmp = (__VA_ARGS__);                                \
  if (!(tmp)) leave ::tacit::fail(std::move(tmp).error()); \
  decl = *std::move(tmp)

// TACIT_CHECK(expression) does the same for a Result<void>.
#define TACIT_CHECK(...) TACIT_CHECK_(TACIT_CAT(tacit_check_, __COUNTER__), return, __VA_ARGS__)
#define TACIT_CO_CHECK(...) \
  TACIT_CHECK_(TACIT_CAT(tacit_check_, __COUNTER__), co_return, __VA_ARGS__)
#define TACIT_CHECK_(tmp, leave, ...) \
  if (auto tmp = (__VA_ARGS__); !(tmp)) leave ::tacit::fail(std::move(tmp).error())
