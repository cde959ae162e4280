#include "attester/nitro.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <cerrno>
#include <mutex>

#include "core/unique_fd.hpp"

namespace tacit::attester {
namespace {

constexpr std::size_t kAnswerBytesMax = 0x3000;  // the driver's

// What the driver's one ioctl takes: struct nsm_raw of linux/nsm.h.
struct NsmMessage {
  iovec request;
  iovec response;
};
static_assert(sizeof(NsmMessage) == 32);

class NsmDevice {
 public:
  explicit NsmDevice(UniqueFd file) : file_{std::move(file)} {}
  Result<Bytes> call(BytesView request) const {
    Bytes copy{request.begin(), request.end()};
    Bytes answer(kAnswerBytesMax);
    NsmMessage message{{copy.data(), copy.size()}, {answer.data(), answer.size()}};
    if (::ioctl(file_.get(), _IOWR(0x0A, 0, NsmMessage), &message) != 0)
      return fail(
          Error{Code::unavailable, "the Nitro Secure Module did not answer"}.with("errno", errno));
    if (message.response.iov_len > answer.size())
      return fail(Code::malformed, "answer of the Nitro Secure Module");
    answer.resize(message.response.iov_len);
    return answer;
  }

 private:
  UniqueFd file_;
};

class NitroAttester final : public Attester {
 public:
  explicit NitroAttester(NsmCall call) : call_{std::move(call)} {}
  seal::Attester kind() const override { return seal::Attester::nitro; }
  Result<Attested> attest(const Digest32& data) override {
    const std::scoped_lock lock{mutex_};
    TACIT_TRY(const auto answer, call_(nsm_request(data)));
    Attested out;
    TACIT_TRY(out.evidence, parse_nsm_answer(answer));
    return out;
  }

 private:
  std::mutex mutex_;
  const NsmCall call_;
};

void put_text(ByteWriter& out, std::string_view text) {  // of less than 24 characters
  out.u8(static_cast<std::uint8_t>(0x60 + text.size()));
  out.raw(text);
}

bool takes(ByteReader& in, std::string_view text) {
  const auto head = in.u8();
  if (!head || *head != 0x60 + text.size()) return false;
  const auto found = in.take(text.size());
  return found && as_text(*found) == text;
}

}  // namespace

Bytes nsm_request(const Digest32& nonce) {
  ByteWriter out;
  out.u8(0xa1);
  put_text(out, "Attestation");
  out.u8(0xa3);
  put_text(out, "user_data");
  out.u8(0xf6);
  put_text(out, "nonce");
  out.u8(0x58);
  out.u8(static_cast<std::uint8_t>(nonce.size()));
  out.raw(nonce);
  put_text(out, "public_key");
  out.u8(0xf6);
  return std::move(out).take();
}

Result<Bytes> parse_nsm_answer(BytesView answer) {
  ByteReader in{answer};
  TACIT_TRY(const auto map, in.u8());
  ByteReader error{answer.subspan(1)};
  if (map == 0xa1 && takes(error, "Error"))
    return fail(Code::unavailable, "the Nitro Secure Module refused");
  if (map != 0xa1 || !takes(in, "Attestation"))
    return fail(Code::malformed, "answer of the Nitro Secure Module");
  TACIT_TRY(const auto inner, in.u8());
  if (inner != 0xa1 || !takes(in, "document"))
    return fail(Code::malformed, "answer of the Nitro Secure Module");
  TACIT_TRY(const auto head, in.u8());
  if (head != 0x59) return fail(Code::malformed, "size of a Nitro document");
  TACIT_TRY(const auto size, in.u16_be());
  TACIT_TRY(const auto document, in.take(size));
  if (!in.done() || document.empty()) return fail(Code::malformed, "size of a Nitro document");
  return Bytes{document.begin(), document.end()};
}

AttesterPtr make_nitro(NsmCall call) { return std::make_unique<NitroAttester>(std::move(call)); }

Result<AttesterPtr> open_nitro(const std::filesystem::path& device) {
  UniqueFd file{::open(device.c_str(), O_RDWR | O_CLOEXEC)};
  if (!file) {
    const auto code = errno == ENOENT                     ? Code::not_found
                      : errno == EACCES || errno == EPERM ? Code::permission
                                                          : Code::io;
    return fail(Error{code, "no Nitro Secure Module"}.about(PublicText{device.string()}));
  }
  auto nsm = std::make_shared<NsmDevice>(std::move(file));
  return make_nitro([nsm](BytesView request) { return nsm->call(request); });
}

}  // namespace tacit::attester
