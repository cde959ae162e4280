// The commands of the chat that `tacit run` is without a prompt: /set, /system, /save, /load...
#pragma once

#include <string_view>
#include <vector>

#include "cli/chat_session.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::cli {

// run_chat_command does what a line that begins with '/' says, and says so on standard error.
void run_chat_command(std::string_view line, ChatSession& session);

// A conversation as a file: "tacit-chat 1", then for each message its role, its length in bytes,
// and its text. Readable, and exact whatever the text is.
SecretText chat_text(const std::vector<domain::Message>& history);
// Errors: malformed, unsupported (version).
Result<std::vector<domain::Message>> parse_chat(std::string_view text);

}  // namespace tacit::cli
