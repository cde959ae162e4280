// A conversation with a model in a worker of this process, or on a server: what `tacit run` is made
// of.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/runtime.hpp"
#include "domain/backend.hpp"

namespace tacit::cli {

struct ChatOptions {
  domain::Sampling sampling;
  std::optional<std::uint32_t> max_tokens;  // unset: an answer that repeats itself is stopped
  std::string system;                       // "" for none
  bool show_speed = false;
};

// How one answer ended.
struct Answer {
  bool interrupted = false;  // by cancel()
  bool repeated = false;     // stopped because it said the same over and over
  domain::FinishReason finish = domain::FinishReason::stop;
  domain::Usage usage;
  Nanoseconds time_to_first_token{};
  Nanoseconds total{};
};

// ChatSession belongs to one shard. Text goes to standard output as it comes: made safe when that
// is a terminal, byte for byte otherwise.
class ChatSession {
 public:
  ChatSession(asio::any_io_executor executor, std::shared_ptr<domain::Backend> backend,
              ChatOptions options);

  // Asks, prints the answer, and remembers both. Errors: those of the backend
  // (context_exceeded...).
  Async<Answer> ask(domain::Content prompt);
  // Stops the answer in progress, if any; what was said so far is kept. Returns whether there was
  // one.
  bool cancel() noexcept;
  // Forgets the conversation.
  void clear();
  // What holds from the next answer on (the system prompt: from clear() on).
  ChatOptions& options() noexcept { return options_; }
  const std::vector<domain::Message>& history() const noexcept { return history_; }
  // Goes on with another conversation.
  void restore(std::vector<domain::Message> history) { history_ = std::move(history); }

 private:
  Async<Answer> stream(domain::Generation& generation, domain::Content& said, SteadyTime begun);
  domain::GenerateRequest request() const;

  asio::any_io_executor executor_;
  std::shared_ptr<domain::Backend> backend_;
  ChatOptions options_;
  std::vector<domain::Message> history_;
  bool answering_ = false;
  bool cancelled_ = false;
};

}  // namespace tacit::cli
