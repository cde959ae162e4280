#include "seal/frames.hpp"

#include <cstring>

#include "seal/varint.hpp"

namespace tacit::seal {
namespace {

BytesView aad_of(bool final) noexcept { return as_bytes(final ? "final" : ""); }

template <class Keys> Result<BytesView> open_with(Keys& keys, const FrameSplitter::Frame& frame) {
  const auto place = frame.ciphertext.first(frame.ciphertext.size() - crypto::kAeadTagBytes);
  TACIT_CHECK(keys.open(aad_of(frame.final), frame.ciphertext, place));
  return place;
}

}  // namespace

std::span<std::byte> FrameSealer::reserve(std::size_t n, bool final, Bytes& out) {
  put_varint(out, final ? 0 : n + crypto::kAeadTagBytes);
  const auto begin = out.size();
  out.resize(begin + n + crypto::kAeadTagBytes);
  return {out.data() + begin, n};
}

Result<void> FrameSealer::close(std::size_t n, bool final, Bytes& out) {
  if (finished_) return fail(Code::invalid_argument, "frame after the final one");
  const auto sealed = std::span{out}.last(n + crypto::kAeadTagBytes);
  TACIT_CHECK(std::visit(
      [&](auto& keys) { return keys.seal(aad_of(final), sealed.first(n), sealed); }, keys_));
  finished_ = final;
  return {};
}

Result<void> FrameSealer::seal(BytesView plaintext, bool final, Bytes& out) {
  if (plaintext.empty() && !final) return {};
  const auto place = reserve(plaintext.size(), final, out);
  if (!plaintext.empty()) std::memcpy(place.data(), plaintext.data(), plaintext.size());
  return close(plaintext.size(), final, out);
}

void FrameSplitter::wipe_given() noexcept {
  // A splitter that was moved from holds nothing.
  if (given_ > 0 && begin_ <= held_.size()) wipe(std::span{held_}.subspan(begin_ - given_, given_));
  given_ = 0;
}

void FrameSplitter::compact() {
  // Moves what is held to the front once that is no more than what was given out.
  if (begin_ < held_.size() - begin_) return;
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(begin_));
  begin_ = 0;
}

Result<std::optional<Bytes>> FrameSplitter::take_raw(std::size_t n) {
  if (held() < n) {
    if (ended_) return fail(Code::malformed, "message is cut short");
    return std::nullopt;
  }
  const auto from = held_.begin() + static_cast<std::ptrdiff_t>(begin_);
  Bytes out{from, from + static_cast<std::ptrdiff_t>(n)};
  begin_ += n;
  return out;
}

Result<std::optional<FrameSplitter::Frame>> FrameSplitter::next() {
  wipe_given();
  if (finished_) return std::nullopt;
  compact();
  if (!in_final_) {
    const auto length = get_varint(BytesView{held_}.subspan(begin_));
    if (!length) {
      if (ended_) return fail(Code::malformed, "message is cut short");
      return std::nullopt;
    }
    // One way to write a length: the frames' places are authenticated, their lengths' forms are
    // not.
    if (form_ == LengthForm::shortest && length->consumed != varint_bytes(length->value)) {
      return fail(Code::malformed, "length of a frame");
    }
    if (length->value > 0) {
      if (length->value > ciphertext_max_) return fail(Code::too_large, "frame");
      if (length->value <= crypto::kAeadTagBytes) {
        return fail(Code::malformed, "empty frame before the end");
      }
      const auto n = static_cast<std::size_t>(length->value);
      if (held() - length->consumed < n) {
        if (ended_) return fail(Code::malformed, "message is cut short");
        return std::nullopt;
      }
      begin_ += length->consumed;
      const auto frame = std::span{held_}.subspan(begin_, n);
      begin_ += n;
      given_ = n;
      return Frame{frame, false};
    }
    begin_ += length->consumed;
    in_final_ = true;
  }
  if (held() > ciphertext_max_) return fail(Code::too_large, "frame");
  if (!ended_) return std::nullopt;
  if (held() < crypto::kAeadTagBytes) return fail(Code::malformed, "message is cut short");
  finished_ = true;
  given_ = held();
  begin_ = held_.size();
  return Frame{std::span{held_}.subspan(begin_ - given_), true};
}

Result<BytesView> open_frame(FrameOpenKeys& keys, const FrameSplitter::Frame& frame) {
  return std::visit([&](auto& opener) { return open_with(opener, frame); }, keys);
}

Result<BytesView> open_frame(crypto::HpkeReceiver& keys, const FrameSplitter::Frame& frame) {
  return open_with(keys, frame);
}

}  // namespace tacit::seal
