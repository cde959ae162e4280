#include "attester/tsm.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "attester/os_file.hpp"
#include "core/text.hpp"

namespace tacit::attester {
namespace {

constexpr std::size_t kInBytes = 64;
constexpr std::size_t kOutBytesMax = 32 * 1024;  // the kernel's own limit
constexpr std::size_t kLogBytesMax = 1024 * 1024;
constexpr int kAttemptsMax = 5;
constexpr std::size_t kSnpEntriesMax = 32;
constexpr std::size_t kSnpEntryBytes = 24;

// Entry is this process's folder below the root; removed with the object.
class Entry {
 public:
  static Result<Entry> make(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return Entry{path};
    const int number = errno;
    if (number == ENOENT || number == ENOTDIR)
      return fail(
          Error{Code::not_found, "this machine has no configfs-tsm"}
              .about(PublicText{path.parent_path().string()})
              .fix("Linux 6.7 or later in a TDX or SEV-SNP guest has it; mount configfs and "
                   "load the module tdx_guest or sev-guest"));
    return fail(Error{number == EACCES || number == EPERM ? Code::permission : Code::io,
                      "cannot make an entry in configfs-tsm"}
                    .about(PublicText{path.string()})
                    .fix("Run as root, or let this user write there"));
  }
  Entry(Entry&& other) noexcept : path_{std::exchange(other.path_, {})} {}
  Entry& operator=(Entry&&) = delete;
  ~Entry() {
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  std::filesystem::path file(const char* name) const { return path_ / name; }

 private:
  explicit Entry(std::filesystem::path path) : path_{std::move(path)} {}
  std::filesystem::path path_;
};

std::string trimmed(BytesView bytes) {
  auto text = as_text(bytes);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.remove_suffix(1);
  return std::string{text};
}

class TsmAttester final : public Attester {
 public:
  TsmAttester(TsmOptions options, Entry entry, seal::Attester kind)
      : options_{std::move(options)}, entry_{std::move(entry)}, kind_{kind} {}
  seal::Attester kind() const override { return kind_; }

  Result<Attested> attest(const Digest32& data) override {
    const std::scoped_lock lock{mutex_};
    Bytes question(kInBytes, std::byte{0});
    std::ranges::copy(data, question.begin());
    for (int attempt = 1;; ++attempt) {
      auto answer = ask(question);
      const bool again = !answer && answer.error().code() == Code::unavailable;
      if (!again || attempt == kAttemptsMax) return answer;
    }
  }

 private:
  Result<Attested> ask(BytesView question) {
    TACIT_CHECK(write_kernel_file(entry_.file("inblob"), question));
    TACIT_TRY(const auto asked, generation());
    Attested out;
    TACIT_TRY(out.evidence, read_kernel_file(entry_.file("outblob"), kOutBytesMax));
    if (kind_ == seal::Attester::snp) {
      const auto table = read_if_there(entry_.file("auxblob"), kOutBytesMax);
      TACIT_TRY(out.collateral, parse_snp_certificates(table));
    }
    TACIT_TRY(const auto answered, generation());
    // Somebody else wrote to our entry meanwhile: the report may answer another question.
    if (asked != answered) return fail(Code::unavailable, "configfs-tsm entry is used by others");
    if (out.evidence.empty()) return fail(Code::unavailable, "configfs-tsm gave no report");
    if (kind_ == seal::Attester::tdx)
      if (auto log = read_if_there(options_.event_log, kLogBytesMax); !log.empty())
        out.event_logs.push_back(std::move(log));
    return out;
  }
  Result<std::string> generation() const {
    TACIT_TRY(const auto bytes, read_kernel_file(entry_.file("generation"), 64));
    return trimmed(bytes);
  }

  const TsmOptions options_;
  const Entry entry_;
  const seal::Attester kind_;
  std::mutex mutex_;
};

}  // namespace

Result<std::vector<Bytes>> parse_snp_certificates(BytesView table) {
  std::vector<Bytes> out;
  ByteReader in{table};
  for (std::size_t i = 0; !table.empty(); ++i) {
    if (i == kSnpEntriesMax) return fail(Code::malformed, "table of SEV-SNP certificates");
    TACIT_TRY(const auto guid, in.take(16));
    TACIT_TRY(const auto offset, in.u32());
    TACIT_TRY(const auto size, in.u32());
    const bool last = std::ranges::all_of(guid, [](std::byte b) { return b == std::byte{0}; });
    if (last) break;
    if (offset > table.size() || size > table.size() - offset || offset < kSnpEntryBytes)
      return fail(Code::malformed, "table of SEV-SNP certificates");
    const auto certificate = table.subspan(offset, size);
    if (!certificate.empty()) out.emplace_back(certificate.begin(), certificate.end());
  }
  return out;
}

Result<AttesterPtr> open_tsm(TsmOptions options) {
  TACIT_TRY(auto entry, Entry::make(options.root / options.entry));
  TACIT_TRY(const auto provider, read_kernel_file(entry.file("provider"), 64));
  const auto name = trimmed(provider);
  if (name != "tdx_guest" && name != "sev_guest")
    return fail(
        Error{Code::unsupported, "configfs-tsm has a provider that is not known here"}.about(
            PublicText{attest::printable(name)}));
  const auto kind = name == "tdx_guest" ? seal::Attester::tdx : seal::Attester::snp;
  return std::make_unique<TsmAttester>(std::move(options), std::move(entry), kind);
}

}  // namespace tacit::attester
