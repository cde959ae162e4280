// Errors that may cross the socket between worker and front.
//
// An Error's text is a literal of the process that made it. To keep that true on the other side of
// a socket, only rows of one table travel: a row's number and its figures, never text. So a worker
// that a hostile model has taken over still cannot send a prompt, or a sentence of its own, as an
// error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/error.hpp"

namespace tacit::engine {

// WireError is a row of the table and the two figures of that row (0 where the row names none).
struct WireError {
  std::uint16_t row = 0;
  std::array<std::int64_t, 2> values{};
  bool operator==(const WireError&) const = default;
};

// to_wire finds the row with the error's code and text; an error that has none becomes the general
// row of its code. Subject and fix do not travel (the fix is the row's).
WireError to_wire(const Error& error) noexcept;
// from_wire rebuilds the error. Errors: malformed (no such row).
Result<Error> from_wire(const WireError& wire);
// How many rows there are: valid rows are 0 to wire_error_rows() - 1.
std::size_t wire_error_rows() noexcept;

}  // namespace tacit::engine
