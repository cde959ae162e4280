// Small text helpers shared by every layer. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.hpp"

namespace tacit {

// is_utf8 tells whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text) noexcept;

// utf8_complete_prefix returns how many leading bytes of `text` end on a character boundary: the
// whole text, or up to 3 bytes less when it ends inside a multi-byte character. Used to hold back
// the start of a character whose rest is in the next token.
std::size_t utf8_complete_prefix(std::string_view text) noexcept;

// Lower-case hexadecimal.
std::string to_hex(BytesView bytes);
std::optional<Bytes> from_hex(std::string_view hex);

// Base64 (RFC 4648 section 4 with padding, section 5 without).
std::string to_base64(BytesView bytes);
std::string to_base64url(BytesView bytes);
// Accepts the section 4 alphabet with padding only; strict about both.
std::optional<Bytes> from_base64(std::string_view text);

bool iequals_ascii(std::string_view a, std::string_view b) noexcept;
std::string to_lower_ascii(std::string_view text);
std::string_view trim_ascii(std::string_view text) noexcept;  // spaces and tabs

// Whole-text decimal parse: digits only, no sign, no overflow.
std::optional<std::uint64_t> parse_u64(std::string_view digits) noexcept;

// "93.8 MiB", "512 B". For people.
std::string human_bytes(std::uint64_t bytes);

}  // namespace tacit
