"""The 19 tables of Daylight, by subject."""

from daylight.models.accounts import User, UserProfile, UserSession
from daylight.models.analytics import ErrorLog, PerformanceMetric, UsageAnalytics
from daylight.models.api import ApiKey, ApiUsage, RateLimit
from daylight.models.caches import EventsCache, TrafficData, WeatherCache
from daylight.models.planning import Location, LocationHistory, Plan
from daylight.models.security import AuditLog, AuthSession, Permission, Role

__all__ = [
    "ApiKey",
    "ApiUsage",
    "AuditLog",
    "AuthSession",
    "ErrorLog",
    "EventsCache",
    "Location",
    "LocationHistory",
    "PerformanceMetric",
    "Permission",
    "Plan",
    "RateLimit",
    "Role",
    "TrafficData",
    "UsageAnalytics",
    "User",
    "UserProfile",
    "UserSession",
    "WeatherCache",
]
