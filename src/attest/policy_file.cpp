#include "attest/policy_file.hpp"

#include <set>

// toml++ asserts in its parser where a file is merely wrong ("[{"), and takes the assertion for
// granted where NDEBUG is set. Here it throws, in every build, and parse_policy says "not TOML".
#undef NDEBUG
namespace tacit::attest {
struct TomlAssertion {};
}  // namespace tacit::attest
#define TOML_ASSERT(expr) \
  (static_cast<bool>(expr) ? static_cast<void>(0) : throw ::tacit::attest::TomlAssertion{})
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "attest/x509.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

constexpr std::size_t kListMax = 1024;

// Table takes the entries of one table; done() refuses those nobody asked for. After the first
// error, which it keeps, everything else does nothing.
class Table {
 public:
  Table(const toml::table& table, std::string path) : table_{table}, path_{std::move(path)} {}

  void take(std::string_view key, bool& out) {
    if (const auto* node = find(key)) {
      const auto value = node->value_exact<bool>();
      if (value)
        out = *value;
      else
        wrong(key);
    }
  }
  void take(std::string_view key, std::uint64_t& out) {
    if (const auto* node = find(key)) {
      const auto value = node->value_exact<std::int64_t>();
      if (value && *value >= 0)
        out = static_cast<std::uint64_t>(*value);
      else
        wrong(key);
    }
  }
  void take(std::string_view key, unsigned& out) {
    std::uint64_t wide = out;
    take(key, wide);
    if (wide > 1'000'000)
      wrong(key);
    else
      out = static_cast<unsigned>(wide);
  }
  void take(std::string_view key, std::optional<std::uint64_t>& out) {
    if (!table_.contains(key)) return;
    std::uint64_t value = 0;
    take(key, value);
    out = value;
  }
  void take(std::string_view key, std::string& out) {
    if (const auto* node = find(key)) {
      const auto value = node->value_exact<std::string>();
      if (value && !value->empty() && value->size() <= 256)
        out = *value;
      else
        wrong(key);
    }
  }
  void take(std::string_view key, std::vector<std::string>& out) {
    const auto* node = find(key);
    if (node == nullptr) return;
    const auto* list = node->as_array();
    if (list == nullptr || list->size() > kListMax) return wrong(key);
    out.clear();
    for (const auto& one : *list) {
      const auto value = one.value_exact<std::string>();
      if (!value || value->empty() || value->size() > 256) return wrong(key);
      out.push_back(*value);
    }
  }
  // A list of SHA-256 digests, in hexadecimal.
  void take_digests(std::string_view key, std::vector<Bytes>& out) {
    std::vector<std::string> texts;
    take(key, texts);
    if (!texts.empty()) out.clear();
    for (const auto& text : texts) {
      auto bytes = from_hex(text.starts_with("sha256:") ? text.substr(7) : text);
      if (!bytes || bytes->size() != 32) return wrong(key);
      out.push_back(*std::move(bytes));
    }
  }
  // A list of texts in PEM, each of certificates.
  void take_pem(std::string_view key, std::vector<CertificatePtr>& out) {
    const auto* node = find(key);
    if (node == nullptr) return;
    const auto* list = node->as_array();
    if (list == nullptr || list->size() > kListMax) return wrong(key);
    for (const auto& one : *list) {
      const auto text = one.value_exact<std::string>();
      const auto chain = parse_certificate_chain(text.value_or(""));
      if (!chain) return wrong(key);
      out.insert(out.end(), chain->begin(), chain->end());
    }
  }
  // The table `key` of lists of hexadecimal values, of any names.
  void take(std::string_view key, std::vector<NamedValues>& out) {
    const auto* node = find(key);
    if (node == nullptr) return;
    const auto* table = node->as_table();
    if (table == nullptr || table->size() > kListMax) return wrong(key);
    for (const auto& [name, list_node] : *table) {
      NamedValues values{std::string{name.str()}, {}};
      const auto* list = list_node.as_array();
      if (list == nullptr || list->empty() || list->size() > kListMax) return wrong(name.str());
      for (const auto& one : *list) {
        const auto text = one.value_exact<std::string>();
        auto bytes = text ? from_hex(*text) : std::nullopt;
        if (!bytes || bytes->empty()) return wrong(name.str());
        values.accepted.push_back(*std::move(bytes));
      }
      std::erase_if(out, [&](const NamedValues& old) { return old.name == values.name; });
      out.push_back(std::move(values));
    }
  }
  const toml::table* table(std::string_view key) {
    const auto* node = find(key);
    if (node == nullptr) return nullptr;
    if (node->as_table() == nullptr) wrong(key);
    return node->as_table();
  }

  Result<void> done() const {
    if (error_) return fail(*error_);
    for (const auto& [key, value] : table_)
      if (!taken_.contains(key.str()))
        return fail(Error{Code::malformed, "unknown key in a policy"}
                        .about(PublicText{printable(path_ + std::string{key.str()})})
                        .fix("see docs/guide/evidence.md for the keys of a policy"));
    return {};
  }

 private:
  const toml::node* find(std::string_view key) {
    taken_.insert(key);
    return table_.get(key);
  }
  void wrong(std::string_view key) {
    if (!error_)
      error_ = Error{Code::malformed, "value of the wrong kind in a policy"}
                   .about(PublicText{printable(path_ + std::string{key})})
                   .fix("see docs/guide/evidence.md for the keys of a policy");
  }
  const toml::table& table_;
  std::string path_;
  std::set<std::string_view, std::less<>> taken_;
  std::optional<Error> error_;
};

Result<toml::table> parse_toml(std::string_view text) {
  try {
    auto parsed = toml::parse(text);
    if (parsed) return std::move(parsed).table();
    return fail(Error{Code::malformed, "policy is not TOML"}.with(
        "line", parsed.error().source().begin.line));
  } catch (const TomlAssertion&) {  // a third-party edge
    return fail(Code::malformed, "policy is not TOML");
  }
}

Result<void> read_intel(const toml::table& from, const char* path, IntelPolicy& out) {
  Table table{from, path};
  table.take("tcb_status", out.tcb_status);
  table.take("advisories_allowed", out.advisories_allowed);
  table.take("tcb_evaluation_min", out.tcb_evaluation_min);
  table.take("debug", out.debug);
  table.take("require_crl", out.require_crl);
  table.take("values", out.values);
  table.take("denied", out.denied);
  return table.done();
}

Result<void> read_snp(const toml::table& from, SnpPolicy& out) {
  Table table{from, "snp."};
  table.take("generations", out.generations);
  table.take("debug", out.debug);
  table.take("migration_agent", out.migration_agent);
  table.take("require_crl", out.require_crl);
  table.take("vmpl_max", out.vmpl_max);
  table.take("guest_svn_min", out.guest_svn_min);
  table.take("bootloader_min", out.bootloader_min);
  table.take("tee_min", out.tee_min);
  table.take("snp_min", out.snp_min);
  table.take("microcode_min", out.microcode_min);
  table.take("fmc_min", out.fmc_min);
  table.take("values", out.values);
  table.take("denied", out.denied);
  return table.done();
}

Result<void> read_others(Table& top, Policy& out) {
  if (const auto* from = top.table("nvidia")) {
    Table table{*from, "nvidia."};
    table.take("gpus_min", out.nvidia.gpus_min);
    table.take("switches_min", out.nvidia.switches_min);
    table.take("require_ocsp", out.nvidia.require_ocsp);
    table.take("values", out.nvidia.values);
    TACIT_CHECK(table.done());
  }
  if (const auto* from = top.table("nitro")) {
    Table table{*from, "nitro."};
    table.take("debug", out.nitro.debug);
    table.take("values", out.nitro.values);
    TACIT_CHECK(table.done());
  }
  if (const auto* from = top.table("tpm")) {
    Table table{*from, "tpm."};
    table.take("sha1", out.tpm.sha1);
    table.take_digests("keys", out.tpm.keys);
    table.take_pem("roots", out.tpm.roots);
    table.take("values", out.tpm.values);
    TACIT_CHECK(table.done());
  }
  if (const auto* from = top.table("endpoint")) {
    Table table{*from, "endpoint."};
    table.take_digests("models_required", out.endpoint.models_required);
    table.take_digests("models_allowed", out.endpoint.models_allowed);
    table.take_digests("policies", out.endpoint.policies);
    TACIT_CHECK(table.done());
  }
  return {};
}

}  // namespace

Result<Policy> parse_policy(std::string_view text) {
  if (text.size() > kPolicyBytesMax)
    return fail(Error{Code::too_large, "policy is too large"}.with("limit", kPolicyBytesMax));
  // toml++ 3.3 takes U+00A1 to U+0499, and others, for impossible where a key may stand, and goes
  // on from there with undefined behaviour. Nothing that a policy says needs them.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) > 0x7e) {
      return fail(Error{Code::malformed, "policy has a character outside ASCII"}.with(
          "at", static_cast<std::int64_t>(i)));
    }
  }
  TACIT_TRY(const auto parsed, parse_toml(text));
  Table top{parsed, ""};
  std::string base = "default";
  top.take("base", base);
  auto out = Policy::built_in(base);
  if (!out)
    return fail(Error{Code::malformed, "unknown base of a policy"}
                    .about(PublicText{printable(base)})
                    .fix("use default, strict or development"));
  out->name = "from a file, based on " + base;
  top.take("name", out->name);
  top.take("require_measurements", out->require_measurements);
  top.take("require_nonce", out->require_nonce);
  top.take("collateral_age_max_s", out->collateral_age_max_s);
  top.take("evidence_age_max_s", out->evidence_age_max_s);
  top.take("required", out->required);
  if (const auto* from = top.table("tdx")) TACIT_CHECK(read_intel(*from, "tdx.", out->tdx));
  if (const auto* from = top.table("sgx")) TACIT_CHECK(read_intel(*from, "sgx.", out->sgx));
  if (const auto* from = top.table("snp")) TACIT_CHECK(read_snp(*from, out->snp));
  TACIT_CHECK(read_others(top, *out));
  TACIT_CHECK(top.done());
  return *std::move(out);
}

}  // namespace tacit::attest
