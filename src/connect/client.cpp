#include "connect/client.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "crypto/random.hpp"

namespace tacit::connect {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kDraftsReady = 8;
constexpr Milliseconds kRetryFirst{100};
constexpr Milliseconds kRetryLast{2000};
constexpr Milliseconds kRetryKeyLast{30'000};
constexpr int kAttemptsMax = 6;
constexpr Seconds kAppraiseTimeout{15};

// What stays behind: fields of the connection to us, credentials (the PSK proves the caller) and
// what the binary form says otherwise.
bool stays(std::string_view name) {
  constexpr std::array<std::string_view, 4> fields{"host", "content-length", "authorization",
                                                   "x-api-key"};
  return http::is_connection_field(name) ||
         std::ranges::any_of(fields,
                             [name](std::string_view field) { return iequals_ascii(field, name); });
}

// The binary form of a request, content included.
SecretText message_of(const http::RequestHead& request, std::string_view authority,
                      BytesView body) {
  seal::BhttpRequest inner{request.method, "https", std::string{authority}, request.target, {}};
  for (const auto& [name, value] : request.headers) {
    if (!stays(name)) inner.fields.emplace_back(name, value);
  }
  auto head = seal::bhttp_head(inner);
  seal::put_bhttp_prefix(head, body.size());
  SecretText message{as_text(head)};
  message.append(as_text(body));
  Bytes end;
  seal::put_bhttp_end(end);
  message.append(as_text(end));
  return message;
}

seal::CallerKey caller_of(std::string_view api_key) {
  return api_key.empty() ? seal::anonymous_caller()
                         : seal::caller_key(crypto::sha256(as_bytes(api_key)));
}

std::string_view authority_of(std::string_view url) {
  const auto start = url.find("://");
  return start == std::string_view::npos ? url : url.substr(start + 3);
}

Error not_accepted() {
  return Error{Code::unauthenticated, "the server did not accept the sealed request"}.fix(
      "Most likely it does not know this API key: see `tacit key list` there");
}

}  // namespace

SealedResponse::SealedResponse(std::unique_ptr<http::Response> outer, seal::SealedReply reply)
    : outer_{std::move(outer)}, reply_{std::move(reply)}, buffer_(kReadBytes) {}

// Opens the next frames; false at the end of the answer.
Async<bool> SealedResponse::more(Deadline deadline) {
  for (;;) {
    TACIT_CO_TRY(const auto data, reply_.next());
    if (data) {
      TACIT_CO_CHECK(decoder_.feed(*data, content_));
      if (reply_.finished()) TACIT_CO_CHECK(decoder_.end());
      co_return true;
    }
    if (reply_.finished()) co_return false;
    TACIT_CO_TRY(const auto n, co_await outer_->read_some(buffer_, deadline));
    if (n == 0) {
      reply_.end();
    } else {
      reply_.feed(BytesView{buffer_}.first(n));
    }
  }
}

Async<void> SealedResponse::open(Deadline deadline) {
  while (!decoder_.has_head()) {
    TACIT_CO_TRY(const auto went_on, co_await more(deadline));
    if (!went_on) co_return fail(Code::malformed, "the sealed answer has no head");
  }
  auto& inner = decoder_.response();
  head_.status = inner.status;
  for (auto& [name, value] : inner.fields) head_.headers.add(std::move(name), std::move(value));
  co_return Result<void>{};
}

Async<BytesView> SealedResponse::read(Deadline deadline) {
  if (given_) content_ = SecretText{};
  given_ = false;
  while (content_.empty()) {
    TACIT_CO_TRY(const auto went_on, co_await more(deadline));
    if (!went_on) co_return BytesView{};
  }
  given_ = true;
  co_return as_bytes(content_.reveal());
}

Client::Client(ClientOptions options, const Clock& clock, Logger& log,
               asio::any_io_executor executor)
    : options_{std::move(options)},
      clock_{clock},
      log_{log},
      http_{options_.http},
      used_draft_{std::move(executor)} {
  for (auto* url : {&options_.url, &options_.relay}) {
    while (url->ends_with('/')) url->pop_back();
  }
}

Client::~Client() = default;

std::string Client::endpoint(std::string_view path) const {
  return (options_.relay.empty() ? options_.url : options_.relay) + std::string{path};
}

Result<Proof> Client::decide(const seal::Statement& statement) const {
  Proof proof{statement.identity.fingerprint(), false, statement.attester, statement.software,
              statement.not_after};
  auto expected = options_.trust;
  if (expected.empty()) {
    TACIT_TRY(const auto pinned, options_.known->find(options_.url));
    if (!pinned) {
      TACIT_CHECK(options_.known->pin(options_.url, proof.fingerprint));
      proof.first_use = true;
      return proof;
    }
    expected = *pinned;
  }
  if (expected != proof.fingerprint) {
    return fail(Error{Code::forbidden, "the server is not the one that is trusted"}
                    .about(PublicText{options_.url + " has identity " + proof.fingerprint +
                                      ", expected " + expected})
                    .fix("Somebody may be in between: nothing was sent. If the server was set up "
                         "anew, check its fingerprint there (tacit serve prints it), then run "
                         "`tacit connect --forget URL`"));
  }
  return proof;
}

Async<Proof> Client::appraise(Deadline deadline) {
  auto proof = co_await appraise_now(deadline);
  if (!proof && proof.error().code() == Code::forbidden) {
    server_.reset();
    drafts_.clear();
  }
  co_return proof;
}

Async<Proof> Client::appraise_now(Deadline deadline) {
  seal::EvidenceNonce nonce{};
  crypto::random_bytes(nonce);
  TACIT_CO_TRY(const auto document,
               co_await fetch_evidence(http_, endpoint(seal::kEvidencePath), nonce, deadline));
  TACIT_CO_CHECK(check_nonce(document, nonce));
  TACIT_CO_TRY(const auto evidence, seal::open_evidence(document, nonce));
  const auto& statement = evidence.statement;
  if (evidence.now < statement.not_before || evidence.now >= statement.not_after) {
    co_return fail(Code::corrupt, "the server's key is not valid at the server's own time");
  }
  const auto now = clock_.wall();
  std::optional<attest::Answer> hardware;
  const auto& rules = options_.evidence;
  if (rules && (rules->required || statement.attester != seal::Attester::none)) {
    hardware =
        appraise_evidence(evidence, nonce, *rules, std::chrono::floor<Seconds>(now), memory_);
    if (hardware->verdict != attest::Verdict::accept) co_return fail(refusal_of(*hardware));
  }
  TACIT_CO_TRY(auto proof, decide(statement));
  proof.hardware = std::move(hardware);
  TACIT_CO_TRY(auto key, seal::server_key(statement.sealed, evidence.statement_digest));
  if (!server_ || server_->key.binding.statement_digest != evidence.statement_digest) {
    drafts_.clear();
    used_draft_.notify();
  }
  const auto offset = evidence.now - now;
  // By our clock. What the hardware proved counts for so long, and not longer.
  const auto age_max = rules && proof.hardware ? rules->age_max : Seconds{24 * 3600};
  server_ =
      Server{.key = std::move(key),
             .fingerprint = proof.fingerprint,
             .clock_offset = offset,
             .fresh_until = std::min<WallTime>(
                 now + age_max / 2,
                 statement.not_before + (statement.not_after - statement.not_before) / 2 - offset),
             .not_after = std::min<WallTime>(now + age_max, statement.not_after - offset)};
  co_return proof;
}

Task<> Client::keep_fresh() {
  auto retry = kRetryFirst;
  for (;;) {
    const auto now = clock_.wall();
    // A little after the server makes its next key; not in a hurry when that fails.
    const auto wait =
        server_ && server_->fresh_until > now
            ? std::chrono::duration_cast<Milliseconds>(server_->fresh_until - now) + kRetryFirst
            : retry;
    if (!co_await async::sleep_for(wait)) co_return;
    const auto used = server_ ? server_->key.binding.statement_digest : crypto::Sha256Digest{};
    const auto proof = co_await appraise(Deadline::after(kAppraiseTimeout));
    if (!proof && proof.error().code() == Code::cancelled) co_return;
    // Without another key the server is asked ever less often.
    const bool another = proof && server_->key.binding.statement_digest != used;
    retry = another ? kRetryFirst : std::min(retry * 2, kRetryKeyLast);
    if (!proof) log_.warning("connect.appraisal_failed", {{"code", proof.error().code()}});
  }
}

Task<> Client::keep_ready() {
  for (;;) {
    while (server_ && drafts_.size() < kDraftsReady) {
      auto draft = seal::RequestDraft::make(server_->key);
      if (!draft) break;  // requests will say why
      drafts_.push_back(*std::move(draft));
      co_await async::yield();  // one at a time: requests go first
    }
    if (!co_await used_draft_.wait(Deadline::never())) co_return;  // until cancelled
  }
}

Result<seal::RequestDraft> Client::take_draft() {
  if (drafts_.empty()) return seal::RequestDraft::make(server_->key);
  auto draft = std::move(drafts_.back());
  drafts_.pop_back();
  return draft;
}

Async<std::unique_ptr<SealedResponse>> Client::send(const http::RequestHead& request,
                                                    BytesView body, std::string_view api_key,
                                                    Deadline deadline) {
  const auto message = message_of(request, authority_of(options_.url), body);
  auto retry = kRetryFirst;
  std::optional<seal::Freshness> freshness;  // of all attempts: the server runs one at most
  std::optional<Error> lost;
  for (int attempt = 1;; ++attempt) {
    if (!server_ || clock_.wall() >= server_->not_after) {
      TACIT_CO_CHECK(co_await appraise(deadline.at_most(kAppraiseTimeout)));
    }
    if (!freshness) freshness = seal::Freshness::at(server_time());
    const auto used = server_->key.binding.statement_digest;
    auto response = co_await try_send(message, *freshness, api_key, deadline);
    used_draft_.notify();  // the next is made when this answer has been passed on
    if (response) {
      TACIT_CO_CHECK(co_await (*response)->open(deadline));
      co_return response;
    }
    const auto code = response.error().code();
    if (attempt == kAttemptsMax) co_return response;
    if (code == Code::unauthenticated) {
      // Worth another try only if the server has another key by now, by its own signed word.
      TACIT_CO_CHECK(co_await appraise(deadline.at_most(kAppraiseTimeout)));
      if (server_->key.binding.statement_digest == used) {
        // It had the attempt that seemed lost.
        if (lost) co_return fail(*std::move(lost));
        // What a stranger may have it answers; the rest it refuses in the API's own words.
        if (api_key.empty()) co_return response;
        api_key = {};
      }
    } else if (code == Code::unavailable && response.error().value("status") == 0) {
      // Nothing was heard. A relay or proxy that answers may have passed the request on.
      lost = response.error();
      if (!co_await async::sleep_for(retry)) co_return response;
      retry = std::min(retry * 2, kRetryLast);
    } else {
      co_return response;
    }
  }
}

WallTime Client::server_time() const {
  return clock_.wall() + std::chrono::duration_cast<WallTime::duration>(server_->clock_offset);
}

Async<std::unique_ptr<SealedResponse>> Client::try_send(const SecretText& message,
                                                        seal::Freshness freshness,
                                                        std::string_view api_key,
                                                        Deadline deadline) {
  TACIT_CO_TRY(auto draft, take_draft());
  TACIT_CO_TRY(auto request, seal::SealedRequest::begin(std::move(draft), caller_of(api_key),
                                                        options_.shape, freshness));
  Bytes wire;
  wire.reserve(request.head().size() + message.size() + message.size() / 8 + 4096);
  wire.assign(request.head().begin(), request.head().end());
  TACIT_CO_CHECK(request.write(as_bytes(message.reveal()), wire));
  TACIT_CO_CHECK(request.finish(wire));

  http::Headers headers;
  headers.add("content-type", std::string{seal::kRequestMediaType});
  headers.add("incremental", "?1");
  TACIT_CO_TRY(auto outer, co_await http_.send("POST", endpoint(seal::kSealedPath),
                                               std::move(headers), wire, deadline));
  const auto& head = outer->head();
  if (head.status == 200 &&
      head.headers.find("content-type").value_or("") == seal::kAnswerMediaType) {
    co_return std::make_unique<SealedResponse>(std::move(outer), request.reply());
  }
  if (head.status == 429) {
    co_return fail(Error{Code::rate_limited, "too many requests on the way to the server"});
  }
  if (head.status == 502 || head.status == 504) {
    co_return fail(
        Error{Code::unavailable, "the server cannot be reached from what is in between"}.with(
            "status", head.status));
  }
  if (head.status == 503) {
    co_return fail(Error{Code::overloaded, "the server is too busy for sealed requests"}.with(
        "status", head.status));
  }
  co_return fail(not_accepted());
}

}  // namespace tacit::connect
