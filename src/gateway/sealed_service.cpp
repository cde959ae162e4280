#include "gateway/sealed_service.hpp"

#include <atomic>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include "async/wait.hpp"
#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::gateway {
namespace {

constexpr std::string_view kIdentityHead = "tacit-identity-v1 ";
constexpr std::size_t kIdentityFileBytesMax = 1024;

Result<seal::Identity> read_identity(BytesView file) {
  auto text = trim_ascii(as_text(file));
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (!text.starts_with(kIdentityHead)) return fail(Code::malformed, "identity file");
  auto seeds = from_base64(text.substr(kIdentityHead.size()));
  if (!seeds) return fail(Code::malformed, "identity file");
  auto identity = seal::Identity::from_seeds(*seeds);
  wipe(*seeds);
  return identity;
}

Result<seal::Identity> open_identity(const std::filesystem::path& path) {
  auto file = store::read_file(path, kIdentityFileBytesMax);
  if (file) {
    auto identity = read_identity(*file);
    wipe(*file);
    if (identity) return identity;
    return fail(Error{Code::malformed, "the server's identity file cannot be read"}
                    .about(PublicText{path.string()})
                    .fix("Restore it from a backup; or remove it, and clients must trust the "
                         "server anew"));
  }
  if (file.error().code() != Code::not_found) return fail(file.error());
  auto identity = seal::Identity::generate();
  const auto seeds = identity.seeds();
  auto coded = to_base64(seeds.reveal());
  SecretText text{kIdentityHead};
  text.append(coded);
  text.append("\n");
  wipe({reinterpret_cast<std::byte*>(coded.data()), coded.size()});
  TACIT_CHECK(store::write_file_atomically(path, as_bytes(text.reveal()), 0600));
  return identity;
}

// How many clients may wait for the hardware, which answers one at a time.
constexpr int kAskersMax = 32;

}  // namespace

// Asking is the thread that waits for the hardware. Its destructor waits for the answer under way.
class SealedService::Asking {
 public:
  Asking(EvidenceSource& source, Logger& log) : source_{source}, log_{log} {}
  ~Asking() { thread_.join(); }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  Async<Bytes> ask(seal::EvidenceNonce nonce, crypto::Sha256Digest statement, Deadline deadline) {
    if (num_waiting_.fetch_add(1) >= kAskersMax) {
      num_waiting_.fetch_sub(1);
      co_return fail(Error{Code::unavailable, "too many ask for evidence"}.fix("Ask again later"));
    }
    // Shared with the thread: the asker may leave before the answer comes.
    const auto question = std::make_shared<Question>(co_await asio::this_coro::executor);
    asio::post(thread_, [this, question, nonce, statement] {
      auto answer = source_.bundle(nonce, statement);
      num_waiting_.fetch_sub(1);
      if (!answer)
        log_.error("evidence.failed", {{"code", answer.error().code()},
                                       {"why", PublicText{answer.error().message()}}});
      asio::post(question->executor, [question, answer = std::move(answer)]() mutable {
        question->answer = std::move(answer);
        question->signal.notify();
      });
    });
    while (!question->answer) TACIT_CO_CHECK(co_await question->signal.wait(deadline));
    if (!*question->answer)
      co_return fail(Error{Code::unavailable, "the hardware shows no evidence now"}.fix(
          "The server's log says why"));
    co_return *std::move(*question->answer);
  }

 private:
  struct Question {
    explicit Question(asio::any_io_executor e) : executor{e}, signal{e} {}
    asio::any_io_executor executor;
    async::Signal signal;                 // used on `executor` only
    std::optional<Result<Bytes>> answer;  // likewise
  };
  EvidenceSource& source_;
  Logger& log_;
  std::atomic<int> num_waiting_ = 0;
  asio::thread_pool thread_{1};
};

SealedService::~SealedService() = default;

Result<std::unique_ptr<SealedService>> SealedService::open(SealedOptions options,
                                                           const Clock& clock, Logger& log) {
  TACIT_TRY(auto identity, open_identity(options.identity_file));
  return std::make_unique<SealedService>(std::move(options), std::move(identity), clock, log);
}

SealedService::SealedService(SealedOptions options, seal::Identity identity, const Clock& clock,
                             Logger& log)
    : options_{std::move(options)},
      identity_{std::move(identity)},
      clock_{clock},
      log_{log},
      replays_{options_.replay},
      undated_{{.window = options_.key_life, .nonces_max = options_.replay.nonces_max}} {
  if (options_.ohttp) ohttp_.emplace();
  if (options_.ehbp) ehbp_.emplace(seal::ehbp_key_kind());
  if (options_.source != nullptr) asking_ = std::make_unique<Asking>(*options_.source, log_);
  rotate();
}

void SealedService::rotate() {
  const auto now = std::chrono::floor<Milliseconds>(clock_.wall());
  const auto not_after = now + options_.key_life;
  std::vector<seal::KeyConfig> ohttp;
  if (ohttp_) {
    ohttp_->rotate(now, not_after);
    ohttp = ohttp_->configs(now);
  }
  if (ehbp_) {
    auto next = ehbp_->draft();
    ehbp_->add({std::move(next.key), std::move(next.config), {}, now, not_after}, now);
  }
  auto draft = keys_.draft();
  const auto attester =
      options_.source == nullptr ? seal::Attester::none : options_.source->attester();
  const seal::Statement statement{.attester = attester,
                                  .issued_at = now,
                                  .not_before = now,
                                  .not_after = not_after,
                                  .identity = identity_.public_key(),
                                  .sealed = draft.config,
                                  .ohttp = std::move(ohttp),
                                  .software = options_.software};
  auto bytes = seal::encode_statement(statement);
  const seal::Binding binding{draft.config.key_id,
                              crypto::sha256(seal::encode_key_config(draft.config)),
                              crypto::sha256(bytes)};
  keys_.add({std::move(draft.key), std::move(draft.config), binding, now, statement.not_after},
            now);
  const std::scoped_lock lock{mutex_};
  statement_ = std::move(bytes);
}

Task<> SealedService::rotate_forever() {
  while (co_await async::sleep_for(Milliseconds{options_.key_life} / 2)) {
    rotate();
    log_.debug("sealed.key_rotated", {{"life_s", options_.key_life.count()}});
  }
}

Bytes SealedService::evidence(const seal::EvidenceNonce& nonce) const {
  std::unique_lock lock{mutex_};
  const auto statement = statement_;
  lock.unlock();
  return identity_.sign(statement, nonce, clock_.wall());
}

Async<Bytes> SealedService::fresh_evidence(seal::EvidenceNonce nonce, Deadline deadline) {
  std::unique_lock lock{mutex_};
  const auto statement = statement_;
  lock.unlock();
  Bytes bundle;
  if (asking_) {
    TACIT_CO_TRY(bundle, co_await asking_->ask(nonce, crypto::sha256(statement), deadline));
  }
  auto document = identity_.sign(statement, nonce, clock_.wall());
  if (asking_) seal::append_bundle(document, bundle);
  co_return document;
}

}  // namespace tacit::gateway
