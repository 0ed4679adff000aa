"""The PynamoDB mirrors of the 19 tables, by name."""

from daylight import models
from dbcore.mirrors import mirror_of

Users = mirror_of(models.User)
UserProfiles = mirror_of(models.UserProfile)
UserSessions = mirror_of(models.UserSession)
Plans = mirror_of(models.Plan)
Locations = mirror_of(models.Location)
LocationHistories = mirror_of(models.LocationHistory)
WeatherCaches = mirror_of(models.WeatherCache)
TrafficDatas = mirror_of(models.TrafficData)
EventsCaches = mirror_of(models.EventsCache)
UsageAnalytics = mirror_of(models.UsageAnalytics)
PerformanceMetrics = mirror_of(models.PerformanceMetric)
ErrorLogs = mirror_of(models.ErrorLog)
AuthSessions = mirror_of(models.AuthSession)
AuditLogs = mirror_of(models.AuditLog)
Roles = mirror_of(models.Role)
Permissions = mirror_of(models.Permission)
ApiKeys = mirror_of(models.ApiKey)
ApiUsage = mirror_of(models.ApiUsage)
RateLimits = mirror_of(models.RateLimit)
