"""The issue that is sent: a newsletter in Arabic with a dozen articles, about 50 kB when it is rendered."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from urllib.parse import quote

from newsletter.articles.feeds import Entry
from newsletter.newsletters.actions import NewNewsletter, NewRhythm, NewTopic
from newsletter.newsletters.models import Frequency

ARTICLES = 12
SLUG_LETTERS = 100
SLUG = "nashra"
DOMAIN = "lettre.example.ma"
BASE_URL = "https://lettre.example.ma"
TOPICS = ("services", "regions", "training")

_OPENINGS = (
    "أعلنت الوزارة اليوم عن",
    "انطلقت صباح اليوم بالرباط أشغال",
    "صادق المجلس في اجتماعه الأخير على",
    "دعت المديرية عموم المواطنات والمواطنين إلى الاطلاع على",
    "احتضنت مدينة طنجة لقاء جهويا حول",
    "شرعت المصالح الخارجية للوزارة في تنزيل",
)
_MATTERS = (
    "برنامج جديد لتبسيط المساطر الإدارية",
    "خدمات رقمية موجهة إلى سكان العالم القروي",
    "دورة تكوينية لفائدة الأطر المحلية",
    "ورش مراجعة أوقات استقبال المرتفقين",
    "مشروع تأهيل مراكز القرب في جميع الجهات",
    "منصة موحدة لتتبع الشكايات والملتمسات",
    "مخطط العمل السنوي الخاص بالشباب",
)
_ENDINGS = (
    "وسيستفيد منه آلاف الأشخاص ابتداء من الشهر المقبل",
    "وذلك بشراكة مع الجماعات الترابية والمجتمع المدني",
    "مع تخصيص اعتمادات إضافية للمناطق الجبلية والنائية",
    "ويمكن تقديم الطلبات لدى أقرب مصلحة أو عبر البوابة الوطنية",
)


def newsletter(moment: datetime) -> NewNewsletter:
    """Describe a newsletter that comes every day, a few minutes before this moment in its own time zone (UTC)."""
    return NewNewsletter(
        slug=SLUG,
        names={"ar": "نشرة الوزارة"},
        institution={"ar": "وزارة المثال"},
        promises={"ar": "لن نبعث إليكم غير هذه النشرة."},
        postal_address={"ar": "شارع المثال، الرباط"},
        cndp_reference="D-000/2026",
        mail_domain=DOMAIN,
        languages=["ar"],
        time_zone="UTC",
        topics=[
            NewTopic("services", {"ar": "الخدمات"}),
            NewTopic("regions", {"ar": "الجهات"}),
            NewTopic("training", {"ar": "التكوين"}),
        ],
        rhythms=[NewRhythm(Frequency.DAILY, at=_minutes_before(moment))],
    )


def entries(moment: datetime) -> list[Entry]:
    """Return the articles, as a feed would give them, all published before this moment."""
    return [_entry(number, moment - timedelta(hours=number + 1)) for number in range(ARTICLES)]


def _entry(number: int, published_at: datetime) -> Entry:
    title = f"{_OPENINGS[number % 6]} {_MATTERS[number % 7]} {_ENDINGS[number % 4]}"
    # Sites in Arabic name their pages so; a mail is longer for it.
    name = quote(title.replace(" ", "-")[:SLUG_LETTERS])
    url = f"https://news.example.ma/ar/2026/{number + 1:04}/{name}/?page=1&from=nashra"
    return Entry(
        external_id=url,
        link=url,
        title=title,
        summary=_summary(number),
        published_at=published_at,
        language="ar",
        image_url=f"https://news.example.ma/images/{number}.jpg" if number == 0 else None,
        image_alt="صورة من اللقاء" if number == 0 else "",
        categories=(TOPICS[number % 3],),
        translations=(),
    )


def _summary(number: int) -> str:
    sentences = [
        f"{_OPENINGS[(number + each) % 6]} {_MATTERS[(number * 2 + each) % 7]} {_ENDINGS[(number + each) % 4]}."
        for each in range(4)
    ]
    return " ".join(sentences)[:298].rsplit(" ", 1)[0] + "."


def _minutes_before(moment: datetime) -> time:
    return (moment - timedelta(minutes=5)).time().replace(second=0, microsecond=0)
