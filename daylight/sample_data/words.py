"""What the sample data is made of: real cities, names in many scripts, phrases. Facts to draw
from, and nothing that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """A real city, where it is, and some places in it."""

    name: str
    latitude: float
    longitude: float
    timezone: str
    places: tuple[str, ...]


CITIES = (
    City("Berlin", 52.52, 13.405, "Europe/Berlin", ("Tiergarten", "Mauerpark", "Kreuzberg")),
    City("Zürich", 47.3769, 8.5417, "Europe/Zurich", ("Uetliberg", "Seefeld", "Limmatquai")),
    City("Paris", 48.8566, 2.3522, "Europe/Paris", ("Canal Saint-Martin", "Bercy", "Belleville")),
    City("Madrid", 40.4168, -3.7038, "Europe/Madrid", ("El Retiro", "Malasaña", "Lavapiés")),
    City("London", 51.5074, -0.1278, "Europe/London", ("Hampstead Heath", "Soho", "Greenwich")),
    City("Reykjavík", 64.1466, -21.9426, "Atlantic/Reykjavik", ("Perlan", "Grandi", "Hlemmur")),
    City("Αθήνα", 37.9838, 23.7275, "Europe/Athens", ("Πλάκα", "Λυκαβηττός", "Εξάρχεια")),
    City("Київ", 50.4501, 30.5234, "Europe/Kyiv", ("Поділ", "Хрещатик", "Гідропарк")),
    City("İstanbul", 41.0082, 28.9784, "Europe/Istanbul", ("Kadıköy", "Beşiktaş", "Üsküdar")),
    City("القاهرة", 30.0444, 31.2357, "Africa/Cairo", ("الزمالك", "خان الخليلي", "المعادي")),
    City("Lagos", 6.5244, 3.3792, "Africa/Lagos", ("Ikoyi", "Yaba", "Lekki")),
    City("Nairobi", -1.2921, 36.8219, "Africa/Nairobi", ("Karura", "Westlands", "Kilimani")),
    City("मुंबई", 19.076, 72.8777, "Asia/Kolkata", ("बांद्रा", "दादर", "कुलाबा")),
    City("ঢাকা", 23.8103, 90.4125, "Asia/Dhaka", ("গুলশান", "ধানমন্ডি", "রমনা")),
    City("北京", 39.9042, 116.4074, "Asia/Shanghai", ("朝阳公园", "什刹海", "三里屯")),
    City("東京", 35.6762, 139.6503, "Asia/Tokyo", ("代々木公園", "下北沢", "浅草")),
    City("서울", 37.5665, 126.978, "Asia/Seoul", ("한강공원", "홍대", "북촌")),
    City("กรุงเทพฯ", 13.7563, 100.5018, "Asia/Bangkok", ("สวนลุมพินี", "อารีย์", "ทองหล่อ")),
    City("תל אביב", 32.0853, 34.7818, "Asia/Jerusalem", ("פלורנטין", "יפו", "נמל תל אביב")),
    City("Sydney", -33.8688, 151.2093, "Australia/Sydney", ("Newtown", "Bondi", "Manly")),
    City("Auckland", -36.8509, 174.7645, "Pacific/Auckland", ("Ponsonby", "Devonport", "Mt Eden")),
    City("New York", 40.7128, -74.006, "America/New_York", ("Prospect Park", "Harlem", "DUMBO")),
    City("Ciudad de México", 19.4326, -99.1332, "America/Mexico_City", ("Coyoacán", "Roma")),
    City("São Paulo", -23.5505, -46.6333, "America/Sao_Paulo", ("Ibirapuera", "Pinheiros")),
    City("Suva", -18.1248, 178.4501, "Pacific/Fiji", ("Thurston Gardens", "Walu Bay")),
)

# First name, last name, and what of them an address can carry.
PEOPLE = (
    ("Jürgen", "Müller", "juergen.mueller"),
    ("Zoë", "O’Brien", "zoe.obrien"),
    ("Łukasz", "Żółć", "lukasz.zolc"),
    ("Nguyễn", "Thị Minh Khai", "nguyen.minhkhai"),
    ("Αλέξανδρος", "Παπαδόπουλος", "alexandros.p"),
    ("Олена", "Ковальчук", "olena.kovalchuk"),
    ("Наталья", "Ёлкина", "natalya.yolkina"),
    ("محمد", "عبد الرحمن", "mohamed.ar"),
    ("שירה", "כהן", "shira.cohen"),
    ("अनन्या", "शर्मा", "ananya.sharma"),
    ("তানভীর", "রহমান", "tanvir.rahman"),
    ("தமிழ்செல்வி", "முருகன்", "tamilselvi.m"),
    ("สมชาย", "ใจดี", "somchai.jaidee"),
    ("美咲", "佐藤", "misaki.sato"),
    ("伟", "李", "wei.li"),
    ("서연", "김", "seoyeon.kim"),
    ("ნინო", "ბერიძე", "nino.beridze"),
    ("Անի", "Պետրոսյան", "ani.petrosyan"),
    ("ሰላም", "ተስፋዬ", "selam.tesfaye"),
    ("Ngozi", "Okonkwo-Adeyẹmí", "ngozi.okonkwo"),
    ("Guðrún", "Þórsdóttir", "gudrun.thorsdottir"),
    ("María José", "Núñez", "maria.nunez"),
    ("Iñaki", "Etxeberría", "inaki.e"),
    ("Sam", "", "sam"),
)

AVATARS = ("🦊", "🐢", "👩🏽‍🚀", "🧑‍🌾", "🌻", "🏴󠁧󠁢󠁳󠁣󠁴󠁿")  # single, joined and tagged sequences

USER_AGENTS = (
    "Daylight/4.2.0 (iPhone; iOS 19.1; Scale/3.00)",
    "Daylight/4.1.3 (Android 16; Pixel 9)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1.15 Safari/605.1.15",
)

ACTIVITIES = (
    "Coffee ☕",
    "Walk 🚶",
    "Museum",
    "Lunch",
    "Gym 💪",
    "Groceries",
    "Reading",
    "Concert 🎻",
)
CATEGORIES = ("home", "work", "café", "park", "gym", "museum", "")
SKIES = ("clear", "cloudy", "rain", "snow", "fog", "thunderstorm")
EVENTS = ("Jazz im Hof", "Farmers’ market", "映画祭", "Nuit blanche", "Open-air ♫", "Derby ⚽")
USAGE = ("app_opened", "plan_created", "plan_shared", "place_saved", "search", "settings_changed")

# Resource -> what can be done with it; each pair is one permission.
RESOURCES = {
    "plans": ("read", "write", "delete"),
    "locations": ("read", "write", "delete"),
    "location_history": ("read", "export"),
    "users": ("read", "write", "suspend"),
    "api_keys": ("read", "issue", "revoke"),
    "audit_logs": ("read", "export"),
    "roles": ("read", "assign"),
}

# Role -> description, scope, what it inherits, what it adds.
ROLES = {
    "guest": ("Looks around.", "project", (), ("plans:read",)),
    "member": ("Plans their own days.", "project", ("guest",), ("plans:write", "locations:write")),
    "planner": ("Plans for others too.", "project", ("member",), ("plans:delete",)),
    "developer": ("Uses the API.", "organization", ("member",), ("api_keys:issue",)),
    "support": ("Helps users. 💬", "organization", ("guest",), ("users:read",)),
    "auditor": ("Reads the audit trail.", "global", (), ("audit_logs:read", "audit_logs:export")),
    "administrator": ("", "global", ("planner", "support", "auditor"), ("users:suspend",)),
}

ENDPOINTS = (
    ("GET", "/v1/plans"),
    ("POST", "/v1/plans"),
    ("GET", "/v1/plans/{id}"),
    ("DELETE", "/v1/plans/{id}"),
    ("GET", "/v1/locations"),
    ("GET", "/v1/weather"),
)

# Error name -> message, and where it was thrown.
FAILURES = {
    "WeatherTimeout": ("No answer within 8 s from {city}", "fetchWeather (weather.ts:88:13)"),
    "TypeError": ("Cannot read properties of undefined (reading 'lat')", "toPoint (gps.ts:41:22)"),
    "QuotaExceeded": ("Daily quota of the traffic provider is used up", "route (traffic.ts:19:9)"),
    "UnicodeError": ("Ungültiges Zeichen in «{city}» — 字符无效 🚫", "normalize (text.ts:7:3)"),
    "ConcurrentUpdate": ("Plan was changed by another device", "savePlan (plans.ts:132:11)"),
}
