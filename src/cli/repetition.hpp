// Whether an answer has fallen into a loop, as small models do: they then write until their context
// is full.
#pragma once

#include <string_view>

namespace tacit::cli {

// repeats_itself looks at the end of `text` only: true when it is one phrase of at most 320 bytes,
// said four times or more with nothing between, over 240 bytes or more. Keeps nothing; costs some
// hundred comparisons. Pure, thread-safe.
bool repeats_itself(std::string_view text) noexcept;

}  // namespace tacit::cli
