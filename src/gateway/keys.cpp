#include "gateway/keys.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace tacit::gateway {
namespace {

constexpr std::string_view kPrefix = "tk-";
constexpr std::size_t kKeyChars = 3 + 43;
constexpr std::array<std::string_view, 1> kMigrations{R"sql(
  CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_unix_s INTEGER NOT NULL,
    revoked_unix_s INTEGER
  ) STRICT
)sql"};

std::int64_t unix_s(const Clock& clock) {
  return std::chrono::duration_cast<Seconds>(clock.wall().time_since_epoch()).count();
}

std::string digest_of(std::string_view key) {
  const auto digest = crypto::sha256(as_bytes(key));
  return std::string{as_text(digest)};
}

Result<void> check_name(std::string_view name) {
  if (name.size() > 100) {
    return fail(Error{Code::invalid_argument, "key name is too long"}
                    .with("bytes", static_cast<std::int64_t>(name.size()))
                    .with("limit", 100));
  }
  // C0 and C1 controls drive terminals; names are shown on them.
  bool printable = is_utf8(name);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const auto next = i + 1 < name.size() ? static_cast<unsigned char>(name[i + 1]) : 0;
    if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next < 0xA0)) printable = false;
  }
  if (!printable) return fail(Code::invalid_argument, "key name must be printable text");
  return {};
}

}  // namespace

KeyStore::KeyStore(std::unique_ptr<store::Database> database, const Clock& clock)
    : database_{std::move(database)}, clock_{clock} {}

Result<std::unique_ptr<KeyStore>> KeyStore::open(const std::filesystem::path& database,
                                                 const Clock& clock) {
  TACIT_TRY(auto opened, store::Database::open(database, kMigrations));
  std::unique_ptr<KeyStore> keys{new KeyStore{std::move(opened), clock}};
  TACIT_CHECK(keys->refresh());
  return keys;
}

Result<KeyStore::Created> KeyStore::create(std::string_view name) {
  TACIT_CHECK(check_name(name));
  std::array<std::byte, 32> secret{};
  crypto::random_bytes(secret);
  auto coded = to_base64url(secret);
  wipe(secret);
  Created created;
  created.key.append(kPrefix);
  created.key.append(coded);
  wipe({reinterpret_cast<std::byte*>(coded.data()), coded.size()});

  std::array<std::byte, 4> id{};
  crypto::random_bytes(id);
  created.record = {"key_" + to_hex(id), std::string{name}, unix_s(clock_), std::nullopt};
  const auto digest = digest_of(created.key.reveal());
  const store::Value values[] = {created.record.id, created.record.name,
                                 Bytes{as_bytes(digest).begin(), as_bytes(digest).end()},
                                 created.record.created_unix_s};
  TACIT_CHECK(database_->query(
      "INSERT INTO api_key (id, name, sha256, created_unix_s) VALUES (?1, ?2, ?3, ?4)", values));
  TACIT_CHECK(reload());
  return created;
}

Result<std::vector<KeyRecord>> KeyStore::list() {
  TACIT_TRY(const auto rows,
            database_->query(
                "SELECT id, name, created_unix_s, revoked_unix_s FROM api_key ORDER BY rowid"));
  std::vector<KeyRecord> records;
  for (const auto& row : rows) {
    KeyRecord record{std::get<std::string>(row[0]), std::get<std::string>(row[1]),
                     std::get<std::int64_t>(row[2]), std::nullopt};
    if (const auto* revoked = std::get_if<std::int64_t>(&row[3])) record.revoked_unix_s = *revoked;
    records.push_back(std::move(record));
  }
  return records;
}

Result<void> KeyStore::revoke(std::string_view id) {
  const store::Value values[] = {std::string{id}, unix_s(clock_)};
  TACIT_TRY(const auto rows,
            database_->query(
                "UPDATE api_key SET revoked_unix_s = ?2 WHERE id = ?1 AND revoked_unix_s IS NULL "
                "RETURNING id",
                values));
  if (rows.empty()) {
    return fail(
        Error{Code::not_found, "no live key has this id"}.fix("See the ids with `tacit key list`"));
  }
  return reload();
}

Result<void> KeyStore::reload() {
  TACIT_TRY(const auto rows,
            database_->query("SELECT sha256, id FROM api_key WHERE revoked_unix_s IS NULL"));
  auto fresh = std::make_shared<Snapshot>();
  for (const auto& row : rows) {
    const std::string digest{as_text(std::get<Bytes>(row[0]))};
    crypto::Sha256Digest raw{};
    if (digest.size() != raw.size()) return fail(Code::corrupt, "API key digest in the database");
    std::ranges::copy(as_bytes(digest), raw.begin());
    fresh->by_psk.emplace(as_text(seal::caller_key(raw).id), digest);
    fresh->by_digest.emplace(digest, Principal{std::get<std::string>(row[1])});
  }
  const std::scoped_lock lock{mutex_};
  snapshot_ = std::move(fresh);
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

Result<bool> KeyStore::refresh() {
  TACIT_TRY(const auto rows, database_->query("PRAGMA data_version"));
  const auto version = std::get<std::int64_t>(rows.at(0).at(0));
  {
    const std::scoped_lock lock{mutex_};
    if (version == data_version_) return false;
    data_version_ = version;
  }
  TACIT_CHECK(reload());
  return true;
}

std::shared_ptr<const KeyStore::Snapshot> KeyStore::snapshot() const {
  const std::scoped_lock lock{mutex_};
  return snapshot_;
}

KeyView::KeyView(KeyStore& store, const Clock& clock) : store_{store}, clock_{clock} { update(); }

void KeyView::update() {
  seen_ = store_.generation_.load(std::memory_order_acquire);
  snapshot_ = store_.snapshot();
}

std::optional<Principal> KeyView::verify(std::string_view key) {
  if (key.size() != kKeyChars || !key.starts_with(kPrefix)) return std::nullopt;
  if (store_.generation_.load(std::memory_order_acquire) != seen_) update();
  const auto digest = digest_of(key);
  if (const auto found = snapshot_->by_digest.find(digest); found != snapshot_->by_digest.end())
    return found->second;
  // Perhaps made by `tacit key create` a moment ago.
  if (clock_.now() < next_refresh_) return std::nullopt;
  next_refresh_ = clock_.now() + Milliseconds{50};
  if (!store_.refresh().value_or(false)) return std::nullopt;
  update();
  const auto found = snapshot_->by_digest.find(digest);
  return found == snapshot_->by_digest.end() ? std::nullopt : std::optional{found->second};
}

std::optional<KeyView::Sealed> KeyView::find_sealed(const seal::PskId& id) {
  // For every key alike, so that time does not tell known ones from others.
  if (const auto now = clock_.now(); now >= next_sealed_refresh_) {
    next_sealed_refresh_ = now + Milliseconds{1};
    (void)store_.refresh();  // a failure leaves what is known; the server's own refresh reports it
  }
  if (store_.generation_.load(std::memory_order_acquire) != seen_) update();
  crypto::Sha256Digest digest{};
  const auto found = snapshot_->by_psk.find(std::string{as_text(id)});
  const bool known = found != snapshot_->by_psk.end();
  if (known) std::ranges::copy(as_bytes(found->second), digest.begin());
  auto key = seal::caller_key(digest);
  if (!known) return std::nullopt;
  return Sealed{snapshot_->by_digest.at(found->second), std::move(key.psk)};
}

}  // namespace tacit::gateway
