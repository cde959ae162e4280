#include "gateway/sealed_service.hpp"

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

}  // namespace

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
  const seal::Statement statement{.attester = seal::Attester::none,
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

}  // namespace tacit::gateway
