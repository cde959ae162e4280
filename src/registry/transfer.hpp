// What every transfer of a file over HTTP has in common: which failures are worth another attempt,
// and how long to wait for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "async/async.hpp"
#include "core/log.hpp"
#include "registry/registry.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// Whatever breaks on the way is the transfer's fault, not the file's or the disk's.
Error transfer_error(Error error);

// The total of "bytes 0-0/1234" (RFC 9110 section 14.4), when it covers exactly first to last.
// nullopt when it does not, or the total is unknown.
std::optional<std::uint64_t> content_range_total(std::string_view value, std::uint64_t first,
                                                 std::uint64_t last);

// with_retries calls `attempt` until it succeeds, or fails in a way that another attempt would not
// change, or has failed limits.attempts_max times without a byte written. Errors: attempt's own,
// unavailable when nothing came for too long.
Async<void> with_retries(const std::function<Async<void>()>& attempt,
                         const store::BlobWriter& writer, const TransferLimits& limits, Logger& log,
                         Deadline deadline);

}  // namespace tacit::registry
