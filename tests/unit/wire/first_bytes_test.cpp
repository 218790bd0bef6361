#include "wire/first_bytes.hpp"

#include <gtest/gtest.h>

#include "wire/datagram.hpp"

namespace fastlogd::wire {
namespace {

using namespace std::string_view_literals;

TEST(FirstBytes, LetsTextThrough) {
  for (const std::string_view bytes : {"\xF5"
                                       "flog\n"sv,
                                       "<13>x"sv, "xylophone"sv, "x^2 = 4"sv, "x\xda\x80 is text"sv,
                                       "\x16 quoted"sv, "\0two\0"sv, "5 <13>a"sv,
                                       "\x1f"sv
                                       "unit"sv}) {
    EXPECT_EQ(classify_first_bytes(bytes), FirstBytes::text) << bytes;
  }
}

TEST(FirstBytes, TellsWhatIsNotText) {
  EXPECT_EQ(classify_first_bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv), FirstBytes::tls);
  EXPECT_EQ(classify_first_bytes("\x1f\x8b\x08\x00\x00\x00"sv), FirstBytes::gzip);
  EXPECT_EQ(classify_first_bytes("\x78\x9c\xcb\x48"sv), FirstBytes::zlib);
  EXPECT_EQ(classify_first_bytes("\x78\x01\x01\x05"sv), FirstBytes::zlib);
  EXPECT_EQ(classify_first_bytes("\x78\xda\xcb\x48"sv), FirstBytes::zlib);
  EXPECT_EQ(classify_first_bytes("\x00\x00\x01\xc1}q\x00(X"sv), FirstBytes::pickle);
  EXPECT_EQ(classify_first_bytes("\x00\x00\x01\xc1\x80\x04\x95"sv), FirstBytes::pickle);
  EXPECT_EQ(classify_first_bytes("\xF5"
                                 "flog\r\n\0 and more"sv),
            FirstBytes::native);
}

TEST(FirstBytes, AsksForMoreWhileItCannotTell) {
  for (const std::string_view bytes :
       {""sv, "x"sv, "x\xda"sv, "\x16\x03\x01\x02\x00"sv, "\x1f\x8b"sv, "\0\0"sv,
        "\xF5"
        "flog\r\n"sv}) {
    EXPECT_EQ(classify_first_bytes(bytes), FirstBytes::undecided);
  }
}

TEST(FirstBytes, SaysWhyEachKindIsRefused) {
  for (const FirstBytes kind :
       {FirstBytes::tls, FirstBytes::gzip, FirstBytes::zlib, FirstBytes::pickle, FirstBytes::native}) {
    EXPECT_NE(refusal_text(kind), "");
  }
  EXPECT_EQ(refusal_text(FirstBytes::text), "");
}

TEST(Datagram, LosesOneTrailingLineFeedOrNul) {
  EXPECT_EQ(datagram_message("<11>hi\0"sv), "<11>hi");
  EXPECT_EQ(datagram_message("hi\n"), "hi");
  EXPECT_EQ(datagram_message("hi\n\n"), "hi\n");
  EXPECT_EQ(datagram_message("hi\r\n"), "hi\r");
  EXPECT_EQ(datagram_message("a\nb"), "a\nb");
}

TEST(Datagram, IsNoMessageIfEmptyAndAnEmptyOneIfOnlyADelimiter) {
  EXPECT_FALSE(datagram_message("").has_value());
  EXPECT_EQ(datagram_message("\n"), "");
}

}  // namespace
}  // namespace fastlogd::wire
