#include "connect/chat_backend.hpp"

#include "api/openai/chat_client.hpp"
#include "http/sse.hpp"

namespace tacit::connect {
namespace {

constexpr std::size_t kErrorBytesMax = 64 * 1024;

class RemoteGeneration final : public domain::Generation {
 public:
  explicit RemoteGeneration(std::unique_ptr<SealedResponse> response)
      : response_{std::move(response)} {}

  Async<domain::EventBatch> next(Deadline deadline) override {
    domain::EventBatch batch;
    while (batch.empty()) {
      const auto piece = co_await response_->read(deadline);
      if (!piece && is_own(piece.error().code())) co_return fail(piece.error());
      if (const auto taken = piece ? take(*piece, batch) : fail(piece.error()); !taken) {
        batch.emplace_back(domain::Failed{taken.error()});
      }
    }
    co_return batch;
  }

 private:
  // The consumer's waiting ended, not the generation.
  static bool is_own(Code code) {
    return code == Code::deadline_exceeded || code == Code::cancelled;
  }

  Result<void> take(BytesView piece, domain::EventBatch& batch) {
    if (piece.empty()) return fail(Code::malformed, "the answer ended before it was finished");
    TACIT_CHECK(events_.feed(as_text(piece)));
    while (const auto event = events_.next()) {
      TACIT_CHECK(stream_.feed(event->data.reveal(), batch));
    }
    return {};
  }

  std::unique_ptr<SealedResponse> response_;
  http::SseParser events_;
  api::openai::ChatStream stream_;
};

// The body of an answer that is no stream.
Async<SecretText> read_error(SealedResponse& response, Deadline deadline) {
  SecretText body;
  for (;;) {
    TACIT_CO_TRY(const auto piece, co_await response.read(deadline));
    if (piece.empty() || body.size() + piece.size() > kErrorBytesMax) break;
    body.append(as_text(piece));
  }
  co_return body;
}

}  // namespace

ChatBackend::ChatBackend(Client& client, std::string model, SecretText api_key)
    : client_{client}, api_key_{std::move(api_key)} {
  model_.name = std::move(model);
}

Async<std::unique_ptr<domain::Generation>> ChatBackend::generate(domain::GenerateRequest request,
                                                                 Deadline deadline) {
  TACIT_CO_TRY(const auto body, api::openai::chat_body(request));
  http::RequestHead head{"POST", std::string{api::openai::kChatPath}, {}};
  head.headers.add("content-type", "application/json");
  TACIT_CO_TRY(auto response,
               co_await client_.send(head, as_bytes(body.reveal()), api_key_.reveal(), deadline));
  const int status = response->head().status;
  if (status != 200) {
    TACIT_CO_TRY(const auto said, co_await read_error(*response, deadline));
    co_return fail(api::openai::chat_error(status, said.reveal()));
  }
  co_return std::make_unique<RemoteGeneration>(std::move(response));
}

}  // namespace tacit::connect
