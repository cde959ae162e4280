#include "cli/chat_commands.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

constexpr std::string_view kMagic = "tacit-chat 1\n";
constexpr std::size_t kChatBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kMessagesMax = 100'000;
constexpr const char* kHelp =
    "  /set NAME VALUE  temperature, top-p, seed or max-tokens; without VALUE: the default again\n"
    "  /system TEXT     another system prompt; without TEXT: none. Begins anew\n"
    "  /save FILE       write the conversation\n"
    "  /load FILE       go on with one\n"
    "  /clear           forget the conversation\n"
    "  /bye             leave (also Ctrl-D)\n"
    "  \"\"\"              begins and ends a text of several lines\n"
    "  Ctrl-C           stop the answer";

std::string_view role_name(domain::Role role) {
  switch (role) {
    case domain::Role::system: return "system";
    case domain::Role::user: return "user";
    case domain::Role::assistant: return "assistant";
    default: return "";
  }
}

std::optional<domain::Role> role_of(std::string_view name) {
  for (const auto role : {domain::Role::system, domain::Role::user, domain::Role::assistant}) {
    if (role_name(role) == name) return role;
  }
  return std::nullopt;
}

std::optional<float> number_within(std::string_view text, float low, float high) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) ||
      value < low || value > high) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint32_t> whole_within(std::string_view text, std::uint32_t low) {
  const auto value = parse_u64(text);
  if (!value || *value < low || *value > std::numeric_limits<std::uint32_t>::max()) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*value);
}

// Puts the value into its place; false when it is none.
bool set_option(std::string_view name, std::string_view value, ChatOptions& options) {
  const auto put = [&](auto& place, auto parsed) {
    if (!value.empty() && !parsed) return false;
    place = parsed;
    return true;
  };
  if (name == "temperature") return put(options.sampling.temperature, number_within(value, 0, 2));
  if (name == "top-p") return put(options.sampling.top_p, number_within(value, 0, 1));
  if (name == "seed") return put(options.sampling.seed, whole_within(value, 0));
  if (name == "max-tokens") return put(options.max_tokens, whole_within(value, 1));
  return false;
}

void set(std::string_view arguments, ChatSession& session) {
  const auto space = arguments.find(' ');
  const auto name = arguments.substr(0, space);
  const auto value =
      space == std::string_view::npos ? std::string_view{} : trim_ascii(arguments.substr(space));
  if (set_option(name, value, session.options())) {
    print_error(value.empty() ? "It is the default again." : "From the next answer on.");
  } else {
    print_error(
        "/set takes temperature (0 to 2), top-p (0 to 1), seed (a whole number) or max-tokens (1 "
        "or "
        "more)");
  }
}

void save(const std::string& file, const ChatSession& session) {
  const auto text = chat_text(session.history());
  // A conversation is for nobody else's eyes.
  const auto saved = store::write_file_atomically(file, as_bytes(text.reveal()), 0600);
  if (!saved)
    report(saved.error());
  else
    print_error(fmt::format("Saved: {} messages, in the clear.", session.history().size()));
}

void load(const std::string& file, ChatSession& session) {
  const auto bytes = store::read_file(file, kChatBytesMax);
  if (!bytes) {
    report(bytes.error());
    return;
  }
  auto history = parse_chat(as_text(*bytes));
  if (!history) {
    report(history.error());
    return;
  }
  print_error(fmt::format("Loaded: {} messages.", history->size()));
  session.restore(*std::move(history));
}

}  // namespace

SecretText chat_text(const std::vector<domain::Message>& history) {
  SecretText out{kMagic};
  for (const auto& message : history) {
    const auto text = message.content.reveal();
    out.append(fmt::format("{} {}\n", role_name(message.role), text.size()));
    out.append(text);
    out.append("\n");
  }
  return out;
}

Result<std::vector<domain::Message>> parse_chat(std::string_view text) {
  if (!text.starts_with(kMagic)) {
    return fail(Code::unsupported, "not a conversation that /save has written");
  }
  text.remove_prefix(kMagic.size());
  std::vector<domain::Message> history;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    const auto space = line.find(' ');
    const auto role = role_of(line.substr(0, space));
    const auto size =
        space == std::string_view::npos ? std::nullopt : parse_u64(line.substr(space + 1));
    if (!role || !size || line.size() == text.size() || history.size() == kMessagesMax) {
      return fail(Code::malformed, "the conversation in the file is damaged");
    }
    text.remove_prefix(line.size() + 1);
    if (*size >= text.size() || text[static_cast<std::size_t>(*size)] != '\n' ||
        !is_utf8(text.substr(0, static_cast<std::size_t>(*size)))) {
      return fail(Code::malformed, "the conversation in the file is damaged");
    }
    history.push_back({*role, domain::Content{text.substr(0, static_cast<std::size_t>(*size))}});
    text.remove_prefix(static_cast<std::size_t>(*size) + 1);
  }
  return history;
}

void run_chat_command(std::string_view line, ChatSession& session) {
  const auto space = line.find(' ');
  const auto name = line.substr(0, space);
  const auto arguments =
      space == std::string_view::npos ? std::string_view{} : trim_ascii(line.substr(space));
  if (name == "/clear") {
    session.clear();
    print_error("The conversation is forgotten.");
  } else if (name == "/help" || name == "/?") {
    print_error(kHelp);
  } else if (name == "/set") {
    set(arguments, session);
  } else if (name == "/system") {
    session.options().system = std::string{arguments};
    session.clear();
    print_error(arguments.empty() ? "No system prompt. The conversation begins anew."
                                  : "The conversation begins anew with this system prompt.");
  } else if ((name == "/save" || name == "/load") && arguments.empty()) {
    print_error("Say which file.");
  } else if (name == "/save") {
    save(std::string{arguments}, session);
  } else if (name == "/load") {
    load(std::string{arguments}, session);
  } else {
    print_error("Unknown command; /help lists them.");
  }
}

}  // namespace tacit::cli
