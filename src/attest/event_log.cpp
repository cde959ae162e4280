#include "attest/event_log.hpp"

#include <algorithm>
#include <array>

#include "attest/json.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

constexpr std::uint32_t kNoAction = 3;
constexpr std::uint32_t kDstackRuntimeEvent = 0x08000001;
constexpr std::string_view kSpecId03{"Spec ID Event03\0", 16};
constexpr std::string_view kSpecId02{"Spec ID Event02\0", 16};
constexpr std::string_view kSpecId00{"Spec ID Event00\0", 16};
constexpr std::string_view kLocality{"StartupLocality\0", 16};
constexpr std::size_t kHeaderBytes = 32;  // of the first event, before its data
constexpr std::size_t kJsonEventsMax = 4096;

std::size_t digest_size(std::uint16_t algorithm) {
  switch (algorithm) {
    case kLogSha1: return 20;
    case kLogSha256:
    case kLogSm3: return 32;
    case kLogSha384: return 48;
    case kLogSha512: return 64;
    default: break;
  }
  return 0;
}

void hash(std::uint16_t algorithm, crypto::Parts message, std::span<std::byte> out) {
  switch (algorithm) {
    case kLogSha1: {
      const auto digest = crypto::sha1(message);
      std::ranges::copy(digest, out.begin());
      return;
    }
    case kLogSha256: return crypto::digest(crypto::HashId::sha256, message, out);
    case kLogSha512: return crypto::digest(crypto::HashId::sha512, message, out);
    default: return crypto::digest(crypto::HashId::sha384, message, out);
  }
}

bool is_filler(BytesView rest) {
  const auto only = [&](std::byte value) {
    return std::ranges::all_of(rest, [=](std::byte b) { return b == value; });
  };
  return only(std::byte{0xff}) || only(std::byte{0});
}

// TCG_EfiSpecIDEvent: which banks every event has.
Result<void> read_spec_id(BytesView data, EventLog& out) {
  ByteReader in{data.subspan(kSpecId03.size())};
  TACIT_CHECK(in.take(8));  // platform class, version, errata, size of UINTN
  TACIT_TRY(const auto num_banks, in.u32());
  if (num_banks < 1 || num_banks > kLogBanksMax)
    return fail(Error{Code::malformed, "banks of an event log"}.with("banks", num_banks));
  for (std::uint32_t i = 0; i < num_banks; ++i) {
    LogBank bank;
    TACIT_TRY(bank.algorithm, in.u16());
    TACIT_TRY(const auto size, in.u16());
    bank.digest_bytes = size;
    if (size == 0 || size > 64 || out.has_bank(bank.algorithm) ||
        (digest_size(bank.algorithm) != 0 && digest_size(bank.algorithm) != size))
      return fail(Code::malformed, "bank of an event log");
    out.banks.push_back(bank);
  }
  TACIT_TRY(const auto vendor_size, in.u8());
  TACIT_CHECK(in.take(vendor_size));
  if (!in.done()) return fail(Code::malformed, "header of an event log");
  return {};
}

void note_locality(const LogEvent& event, EventLog& out) {
  if (event.type != kNoAction || event.index != 0 || event.data.size() != kLocality.size() + 1 ||
      as_text(event.data).substr(0, kLocality.size()) != kLocality)
    return;
  out.startup_locality = std::to_integer<std::uint8_t>(event.data.back());
}

// Every bank of the header must be there, each once: a replay of one bank must not differ from
// another's in which events it saw.
Result<BytesView> read_digests(ByteReader& in, BytesView all, const EventLog& log) {
  TACIT_TRY(const auto num_digests, in.u32());
  if (num_digests != log.banks.size())
    return fail(Error{Code::malformed, "digests of an event"}.with("digests", num_digests));
  const auto begin = in.offset();
  std::uint32_t seen = 0;
  for (std::uint32_t i = 0; i < num_digests; ++i) {
    TACIT_TRY(const auto algorithm, in.u16());
    const auto bank = std::ranges::find(log.banks, algorithm, &LogBank::algorithm);
    const auto bit = 1U << static_cast<unsigned>(bank - log.banks.begin());
    if (bank == log.banks.end() || (seen & bit) != 0)
      return fail(Code::malformed, "digest of an event");
    seen |= bit;
    TACIT_CHECK(in.take(bank->digest_bytes));
  }
  return all.subspan(begin, in.offset() - begin);
}

Result<void> add_event(EventLog& out, const LogEvent& event) {
  if (out.events.size() == kEventsMax)
    return fail(Error{Code::too_large, "number of events in a log"}.with("limit", kEventsMax));
  note_locality(event, out);
  out.events.push_back(event);
  return {};
}

Result<void> read_agile(ByteReader& in, EventLog& out) {
  const BytesView all{out.bytes};
  while (!in.done()) {
    const auto rest = all.subspan(in.offset());
    if (is_filler(rest)) return {};
    LogEvent event;
    TACIT_TRY(event.index, in.u32());
    TACIT_TRY(event.type, in.u32());
    TACIT_TRY(event.digests, read_digests(in, all, out));
    TACIT_TRY(event.data, in.sized(all.size()));
    TACIT_CHECK(add_event(out, event));
  }
  return {};
}

Result<void> read_sha1(ByteReader& in, EventLog& out) {
  const BytesView all{out.bytes};
  out.banks.push_back({kLogSha1, 20});
  while (!in.done()) {
    if (is_filler(all.subspan(in.offset()))) return {};
    LogEvent event;
    TACIT_TRY(event.index, in.u32());
    TACIT_TRY(event.type, in.u32());
    TACIT_TRY(event.digests, in.take(20));
    TACIT_TRY(event.data, in.sized(all.size()));
    if (event.index > 23) return fail(Code::malformed, "register of an event");
    TACIT_CHECK(add_event(out, event));
  }
  return {};
}

struct JsonEvent {
  std::uint32_t index = 0;
  std::uint32_t type = 0;
  Bytes digest;
  Bytes data;
};

std::optional<Bytes> payload(const json::object& object) {
  const auto text = text_member(object, "event_payload");
  return text ? from_hex(*text) : std::optional<Bytes>{};
}

Result<JsonEvent> read_json_event(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::malformed, "event in JSON");
  JsonEvent out;
  const auto index = number_member(*object, "imr");
  const auto type = number_member(*object, "event_type");
  const auto name = text_member(*object, "event");
  if (!index || *index > 3 || !type || *type > 0xffffffffU || !name)
    return fail(Code::malformed, "event in JSON");
  out.index = static_cast<std::uint32_t>(*index);
  out.type = static_cast<std::uint32_t>(*type);
  if (out.type == kDstackRuntimeEvent) {
    const auto data = payload(*object);
    if (!data) return fail(Code::malformed, "payload of an event in JSON");
    ByteWriter message;
    message.u32(out.type);
    message.raw(":");
    message.raw(*name);
    message.raw(":");
    message.raw(*data);
    out.data = std::move(message).take();
    const auto digest = crypto::sha384(out.data);
    out.digest.assign(digest.begin(), digest.end());
    return out;
  }
  auto digest = hex_member(*object, "digest", 48);
  if (!digest) return fail(Code::malformed, "digest of an event in JSON");
  out.digest = *std::move(digest);
  return out;
}

}  // namespace

bool EventLog::has_bank(std::uint16_t algorithm) const noexcept {
  return std::ranges::find(banks, algorithm, &LogBank::algorithm) != banks.end();
}

bool EventLog::sha1_only() const noexcept {
  return banks.size() == 1 && banks[0].algorithm == kLogSha1;
}

BytesView EventLog::digest(const LogEvent& event, std::uint16_t algorithm) const noexcept {
  if (banks.size() == 1 && event.digests.size() == banks[0].digest_bytes)
    return banks[0].algorithm == algorithm ? event.digests : BytesView{};
  auto rest = event.digests;
  while (rest.size() > 2) {
    const auto id = static_cast<std::uint16_t>(std::to_integer<unsigned>(rest[0]) |
                                               std::to_integer<unsigned>(rest[1]) << 8U);
    const auto bank = std::ranges::find(banks, id, &LogBank::algorithm);
    if (bank == banks.end() || rest.size() < 2 + bank->digest_bytes) return {};
    if (id == algorithm) return rest.subspan(2, bank->digest_bytes);
    rest = rest.subspan(2 + bank->digest_bytes);
  }
  return {};
}

bool EventLog::data_is_digested(const LogEvent& event, std::uint16_t algorithm) const {
  const auto stated = digest(event, algorithm);
  if (stated.empty() || digest_size(algorithm) != stated.size()) return false;
  std::array<std::byte, 64> computed{};
  const auto out = std::span{computed}.first(stated.size());
  hash(algorithm, {event.data}, out);
  return std::ranges::equal(stated, out);
}

bool is_event_log(BytesView bytes) noexcept {
  if (bytes.size() < kHeaderBytes + kSpecId03.size()) return false;
  ByteReader in{bytes};
  const auto index = in.u32();
  const auto type = in.u32();
  const auto head = as_text(bytes).substr(kHeaderBytes, kSpecId03.size());
  return index && type && *index <= 1 && *type == kNoAction &&
         (head == kSpecId03 || head == kSpecId02 || head == kSpecId00);
}

Result<EventLogPtr> parse_event_log(BytesView bytes) {
  if (!is_event_log(bytes)) return fail(Code::malformed, "event log");
  auto out = std::make_shared<EventLog>();
  out->bytes.assign(bytes.begin(), bytes.end());
  ByteReader in{out->bytes};
  TACIT_CHECK(in.take(kHeaderBytes - 4));
  TACIT_TRY(const auto header, in.sized(64 * 1024));
  if (as_text(header).starts_with(kSpecId03)) {
    TACIT_CHECK(read_spec_id(header, *out));
    TACIT_CHECK(read_agile(in, *out));
  } else {
    TACIT_CHECK(read_sha1(in, *out));
  }
  return EventLogPtr{std::move(out)};
}

Result<EventLogPtr> parse_event_log_json(std::string_view text) {
  TACIT_TRY(const auto value, parse_json(text));
  const auto* list = value.if_array();
  if (list == nullptr || list->empty()) return fail(Code::malformed, "event log in JSON");
  if (list->size() > kJsonEventsMax)
    return fail(Error{Code::too_large, "number of events in a log"}.with("limit", kJsonEventsMax));
  std::vector<JsonEvent> events;
  std::size_t total = 0;
  for (const auto& one : *list) {
    TACIT_TRY(auto event, read_json_event(one));
    total += event.digest.size() + event.data.size();
    events.push_back(std::move(event));
  }
  auto out = std::make_shared<EventLog>();
  out->kind = LogKind::td;
  out->banks.push_back({kLogSha384, 48});
  out->bytes.reserve(total);  // views into it must stay
  for (const auto& event : events) {
    const auto begin = out->bytes.size();
    out->bytes.insert(out->bytes.end(), event.digest.begin(), event.digest.end());
    out->bytes.insert(out->bytes.end(), event.data.begin(), event.data.end());
    const auto both = BytesView{out->bytes}.subspan(begin);
    out->events.push_back({event.index, event.type, both.first(48), both.subspan(48)});
  }
  return EventLogPtr{std::move(out)};
}

Result<std::map<std::uint32_t, ReplayedRegister>> replay(const EventLog& log,
                                                         std::uint16_t algorithm) {
  const auto size = digest_size(algorithm);
  if (!log.has_bank(algorithm) || size == 0 || algorithm == kLogSm3)
    return fail(Error{Code::unsupported, "event log without a bank that is used here"}.with(
        "algorithm", algorithm));
  std::map<std::uint32_t, ReplayedRegister> out;
  for (const auto& event : log.events) {
    if (!event.is_extended()) continue;
    auto& reg = out[event.index];
    if (reg.value.empty()) {
      reg.value.assign(size, std::byte{0});
      if (event.index == 0 && log.kind == LogKind::tcg)
        reg.value.back() = std::byte{log.startup_locality};
    }
    hash(algorithm, {reg.value, log.digest(event, algorithm)}, reg.value);
    ++reg.num_events[event.type];
    if (log.data_is_digested(event, algorithm)) ++reg.num_described;
  }
  return out;
}

std::string event_type_name(std::uint32_t type) {
  struct Name {
    std::uint32_t type;
    std::string_view name;
  };
  static constexpr std::array kNames{
      Name{0x00000001, "EV_POST_CODE"},
      Name{0x00000004, "EV_SEPARATOR"},
      Name{0x00000005, "EV_ACTION"},
      Name{0x00000006, "EV_EVENT_TAG"},
      Name{0x00000007, "EV_S_CRTM_CONTENTS"},
      Name{0x00000008, "EV_S_CRTM_VERSION"},
      Name{0x00000009, "EV_CPU_MICROCODE"},
      Name{0x0000000a, "EV_PLATFORM_CONFIG_FLAGS"},
      Name{0x0000000b, "EV_TABLE_OF_DEVICES"},
      Name{0x0000000d, "EV_IPL"},
      Name{0x00000011, "EV_NONHOST_INFO"},
      Name{0x08000001, "dstack run-time event"},
      Name{0x80000001, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
      Name{0x80000002, "EV_EFI_VARIABLE_BOOT"},
      Name{0x80000003, "EV_EFI_BOOT_SERVICES_APPLICATION"},
      Name{0x80000004, "EV_EFI_BOOT_SERVICES_DRIVER"},
      Name{0x80000005, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
      Name{0x80000006, "EV_EFI_GPT_EVENT"},
      Name{0x80000007, "EV_EFI_ACTION"},
      Name{0x80000008, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
      Name{0x80000009, "EV_EFI_HANDOFF_TABLES"},
      Name{0x8000000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
      Name{0x8000000b, "EV_EFI_HANDOFF_TABLES2"},
      Name{0x8000000c, "EV_EFI_VARIABLE_BOOT2"},
      Name{0x80000010, "EV_EFI_HCRTM_EVENT"},
      Name{0x800000e0, "EV_EFI_VARIABLE_AUTHORITY"},
      Name{0x800000e1, "EV_EFI_SPDM_FIRMWARE_BLOB"},
      Name{0x800000e2, "EV_EFI_SPDM_FIRMWARE_CONFIG"},
  };
  const auto* const known = std::ranges::find(kNames, type, &Name::type);
  if (known != kNames.end()) return std::string{known->name};
  ByteWriter raw;
  for (int shift = 24; shift >= 0; shift -= 8) raw.u8(static_cast<std::uint8_t>(type >> shift));
  return "event 0x" + to_hex(raw.bytes());
}

}  // namespace tacit::attest
