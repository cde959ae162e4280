// Content: what people say to models and what models answer.
#pragma once

#include "core/secret.hpp"

namespace tacit::domain {

// Content is text that may not be logged, formatted, copied by accident or left in freed memory.
// It is SecretText by another name, because the same rules protect it; reveal() is called only by
// the codecs at the edges (api, engine protocol) and by the chat of the command line.
using Content = SecretText;

}  // namespace tacit::domain
