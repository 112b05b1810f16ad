/* Numbers and times as text.
 * Place: below the JSONL and CSV writers and `inspect`.
 * Doubles here come from decimals of few digits, so most are m / 10^k with m below 10^15: such a
 * text is found by a few divisions, and is exact because both m and 10^k are exact doubles and the
 * division is correctly rounded. The rest go through printf and strtod. */
#include "store/text_format.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MAX 12

static const double powers[PLACES_MAX + 1] = {1e0, 1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                              1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

static size_t put_u64(uint64_t value, char *out)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t text_format_i64(int64_t value, char out[TEXT_FORMAT_MAX])
{
    if (value >= 0) {
        return put_u64((uint64_t)value, out);
    }
    out[0] = '-';
    return 1 + put_u64(0 - (uint64_t)value, out + 1);
}

/* mantissa / 10^places with all its places. */
static size_t put_places(uint64_t mantissa, int places, char *out)
{
    uint64_t scale = 1;
    for (int i = 0; i < places; i++) {
        scale *= 10;
    }
    size_t bytes = put_u64(mantissa / scale, out);
    if (places == 0) {
        return bytes;
    }
    out[bytes++] = '.';
    uint64_t fraction = mantissa % scale;
    for (int i = places; i > 0; i--) {
        out[bytes + (size_t)i - 1] = (char)('0' + fraction % 10);
        fraction /= 10;
    }
    return bytes + (size_t)places;
}

/* 0 when the value is not of that kind. */
static size_t put_simple(double value, char *out)
{
    double magnitude = fabs(value);
    for (int places = 0; places <= PLACES_MAX; places++) {
        double scaled = magnitude * powers[places];
        if (!(scaled < 1e15)) {
            return 0;
        }
        double mantissa = floor(scaled + 0.5);
        if (mantissa < 1e15 && mantissa / powers[places] == magnitude) {
            out[0] = '-';
            size_t sign = signbit(value) != 0;
            return sign + put_places((uint64_t)mantissa, places, out + sign);
        }
    }
    return 0;
}

size_t text_format_double(double value, char out[TEXT_FORMAT_MAX])
{
    if (!isfinite(value)) {
        memcpy(out, "null", 4);
        return 4;
    }
    size_t simple = put_simple(value, out);
    if (simple > 0) {
        return simple;
    }
    char text[TEXT_FORMAT_MAX];
    int bytes = 0;
    for (int digits = 15; digits <= 17; digits++) {
        bytes = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    memcpy(out, text, (size_t)bytes);
    return (size_t)bytes;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar (400-year cycles of 146097 days,
 * years beginning in March). */
static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468; /* 0000-03-01 */
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_cycle = days - cycle * 146097;
    int64_t year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    int64_t day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = year_of_cycle + cycle * 400 + (*month <= 2);
}

/* Exactly `width` digits; returns the end. */
static char *put_digits(char *out, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

size_t text_format_time(int64_t unix_us, char out[TEXT_FORMAT_MAX])
{
    const int64_t day_us = 86400000000;
    int64_t days = unix_us / day_us;
    int64_t us = unix_us % day_us;
    if (us < 0) {
        us += day_us;
        days--;
    }
    int64_t year;
    int month;
    int day;
    date_of_days(days, &year, &month, &day);
    int64_t seconds = us / 1000000;
    char *at = out;
    if (year >= 0 && year <= 9999) {
        at = put_digits(at, year, 4);
    } else {
        at += text_format_i64(year, at);
    }
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_digits(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, seconds % 60, 2);
    *at++ = '.';
    at = put_digits(at, us % 1000000, 6);
    *at++ = 'Z';
    return (size_t)(at - out);
}
