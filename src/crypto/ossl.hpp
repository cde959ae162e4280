// The one way this module treats an OpenSSL call that cannot fail in normal life. Private.
#pragma once

#include "core/error.hpp"

namespace tacit::crypto {

// must ends the process when `ok` is false, naming the call: out of memory or a broken provider,
// and going on would mean unhashed or predictable bytes.
void must(bool ok, Literal call) noexcept;

}  // namespace tacit::crypto
