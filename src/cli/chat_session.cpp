#include "cli/chat_session.hpp"

#include <unistd.h>

#include "cli/repetition.hpp"
#include "cli/terminal.hpp"

namespace tacit::cli {
namespace {

// How soon an interrupt is noticed while the model computes a long prompt.
constexpr Milliseconds kCancelPoll{50};

}  // namespace

ChatSession::ChatSession(asio::any_io_executor executor, std::shared_ptr<domain::Backend> backend,
                         ChatOptions options)
    : executor_{executor}, backend_{std::move(backend)}, options_{std::move(options)} {
  clear();
}

void ChatSession::clear() {
  history_.clear();
  if (!options_.system.empty())
    history_.push_back({domain::Role::system, domain::Content{options_.system}});
}

bool ChatSession::cancel() noexcept {
  if (!answering_ || cancelled_) return false;
  cancelled_ = true;
  return true;
}

domain::GenerateRequest ChatSession::request() const {
  domain::GenerateRequest request;
  request.model = backend_->model().name;
  for (const auto& message : history_)
    request.messages.push_back({message.role, message.content.clone()});
  request.sampling = options_.sampling;
  request.max_tokens = options_.max_tokens;
  request.cache_salt.emplace();  // one person's own worker: each turn goes on behind the last
  return request;
}

Async<Answer> ChatSession::ask(domain::Content prompt) {
  history_.push_back({domain::Role::user, std::move(prompt)});
  cancelled_ = false;
  auto asked = request();
  const auto begun = std::chrono::steady_clock::now();
  auto generation = co_await backend_->generate(std::move(asked), Deadline::never());
  if (!generation) {
    history_.pop_back();
    co_return fail(std::move(generation).error());
  }
  answering_ = true;
  domain::Content said;
  auto answer = co_await stream(**generation, said, begun);
  answering_ = false;
  if (!answer && said.empty())
    history_.pop_back();  // nothing was said: the question may be asked again
  else
    history_.push_back({domain::Role::assistant, std::move(said)});
  co_return answer;
}

Async<Answer> ChatSession::stream(domain::Generation& generation, domain::Content& said,
                                  SteadyTime begun) {
  const bool to_terminal = is_terminal(STDOUT_FILENO);
  Answer answer;
  for (;;) {
    if (cancelled_) {
      answer.interrupted = true;
      co_return answer;
    }
    auto batch = co_await generation.next(Deadline::after(kCancelPoll));
    if (!batch && batch.error().code() == Code::deadline_exceeded) continue;
    if (!batch) co_return fail(std::move(batch).error());
    for (const auto& event : *batch) {
      if (const auto* text = std::get_if<domain::TextDelta>(&event)) {
        if (said.empty()) answer.time_to_first_token = std::chrono::steady_clock::now() - begun;
        said.append(text->text.reveal());
        const bool shown =
            to_terminal ? write_all(STDOUT_FILENO, terminal_safe(text->text.reveal()).reveal())
                        : write_all(STDOUT_FILENO, text->text.reveal());
        if (!shown) co_return fail(Code::cancelled, "standard output was closed");
        if (!options_.max_tokens && repeats_itself(said.reveal())) {
          answer.repeated = true;
          co_return answer;
        }
      } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
        answer.usage = finished->usage;
        answer.finish = finished->reason;
        answer.total = std::chrono::steady_clock::now() - begun;
        co_return answer;
      } else if (const auto* failed = std::get_if<domain::Failed>(&event)) {
        co_return fail(failed->error);
      }
    }
  }
}

}  // namespace tacit::cli
