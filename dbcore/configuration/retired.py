"""Names that Daylight's earlier backend read: what replaces each, or why it is not needed. Each
ends the sentence "NAME is not read: …".
"""

from __future__ import annotations

_URL = "DATABASE_URL has it: postgres://USER:PASSWORD@HOST:5432/NAME"
_POOL = "DATABASE_POOL_SIZE and DATABASE_POOL_TIMEOUT are psycopg's pool"
_MONGODB = "MongoDB is no store of this layer; DATABASE_PRIMARY names those that there are"
_MEMCACHED = "CACHE_URL names the one cache: rediss://…"
_REDIS = "CACHE_URL has it: rediss://:PASSWORD@HOST:6379/0"
_RDS = "DATABASE_URL has it; the data API of RDS is not used"
_ROLLBACK = "there is no deployment tool here; docs/migrate.md has the way back"
_BACKUPS = "DynamoDB's own: DYNAMODB_POINT_IN_TIME_RECOVERY"
_REPLICAS = "DYNAMODB_REPLICA_REGIONS and DATABASE_REPLICA_URLS name replicas"
_NETWORK = "addresses say it (DYNAMODB_ENDPOINT of a VPC endpoint); the network is AWS's to set up"
_ALWAYS_ENCRYPTED = "it is always on"
_STORE_OWN = "DynamoDB does it by itself"

RETIRED: dict[str, str] = {
    "ARCHIVE_GLACIER_VAULT": "ARCHIVE_S3_BUCKET; S3 moves the cold archives to Glacier",
    "AUTO_ROLLBACK": _ROLLBACK,
    "CONNECTION_POOLING": f"{_POOL}, DYNAMODB_POOL_SIZE is DynamoDB's",
    "DB_ANALYZE_FREQUENCY": _STORE_OWN,
    "DB_AUTO_INDEX": "indexes are declared on the models, and sync_tables makes them",
    "DB_BACKGROUND_INDEX": "DynamoDB always makes indexes in the background",
    "DB_BACKUP_RETENTION_DAYS": f"{_BACKUPS} keeps 35 days",
    "DB_BATCH_SIZE": "batches are as large as DynamoDB takes them",
    "DB_COMPACT_THRESHOLD": _STORE_OWN,
    "DB_CONNECTION_TIMEOUT": "DYNAMODB_CONNECT_TIMEOUT (seconds), and ?connect_timeout= in "
    "DATABASE_URL",
    "DB_CONTINUOUS_BACKUP": _BACKUPS,
    "DB_CPU_THRESHOLD": "DynamoDB has no CPU to watch; DB_LATENCY_THRESHOLD is what users see",
    "DB_CROSS_REGION_BACKUP": "AWS Backup copies between regions",
    "DB_CROSS_REGION_REPLICATION": _REPLICAS,
    "DB_DISK_THRESHOLD": "DB_HEALTH_DISK_WARNING and DB_HEALTH_DISK_CRITICAL, as shares that are "
    "free",
    "DB_ENCRYPTION_AT_REST": f"{_ALWAYS_ENCRYPTED}; DYNAMODB_KMS_KEY_ID names a key of yours",
    "DB_ENCRYPTION_IN_TRANSIT": f"{_ALWAYS_ENCRYPTED}: plain text is for this machine only",
    "DB_IAM_AUTH": "DynamoDB always authenticates by IAM",
    "DB_KEY_ROTATION": "KMS rotates its keys; rotate_archive_keys those of archives",
    "DB_LOG_AGGREGATION": "the log is on standard error, for whatever collects it",
    "DB_LOG_LEVEL": "LOG_LEVEL",
    "DB_LOG_RETENTION": "whatever collects the log keeps it; RETENTION_DAYS is for records",
    "DB_METRICS_RETENTION": "RETENTION_DAYS, for the table performance_metrics",
    "DB_NETWORK_ISOLATION": _NETWORK,
    "DB_PARALLEL_READS": "reads of several records are one call",
    "DB_PERFORMANCE_INSIGHTS": "every call is measured: docs/monitoring.md",
    "DB_PITR_ENABLED": "DYNAMODB_POINT_IN_TIME_RECOVERY",
    "DB_QUERY_TIMEOUT": "DYNAMODB_DEADLINE (seconds, retries included)",
    "DB_READ_REPLICAS": _REPLICAS,
    "DB_REPLICATION_ENABLED": _REPLICAS,
    "DB_STRUCTURED_LOGGING": "LOG_FORMAT=json",
    "DB_VPC_ENABLED": _NETWORK,
    "DEPLOYMENT_STRATEGY": _ROLLBACK,
    "DYNAMODB_MAX_RETRIES": "DYNAMODB_DEADLINE bounds a call with its retries",
    "DYNAMODB_RETRY_BASE": "retries wait as AWS's own clients do; DYNAMODB_DEADLINE bounds them",
    "ENABLE_MULTI_DB": "DATABASE_PRIMARY names the one store of services",
    "MEMCACHED_ENABLED": _MEMCACHED,
    "MEMCACHED_SERVERS": _MEMCACHED,
    "MEMCACHED_TTL": "APP_CACHE_TTL (seconds)",
    "MIGRATION_LOCK_TIMEOUT": "a migration's lease ends by itself when its process does",
    "MONGODB_IDLE_TIMEOUT": _MONGODB,
    "MONGODB_POOL_MIN": _MONGODB,
    "MONGODB_POOL_SIZE": _MONGODB,
    "MONGODB_SERVER_TIMEOUT": _MONGODB,
    "MONGODB_URI": _MONGODB,
    "POSTGRES_ACQUIRE_TIMEOUT": "DATABASE_POOL_TIMEOUT (seconds)",
    "POSTGRES_DB": _URL,
    "POSTGRES_HOST": _URL,
    "POSTGRES_IDLE_TIMEOUT": "DATABASE_CONN_MAX_AGE (seconds)",
    "POSTGRES_PASSWORD": _URL,
    "POSTGRES_POOL_MAX": _POOL,
    "POSTGRES_POOL_MIN": _POOL,
    "POSTGRES_PORT": _URL,
    "POSTGRES_SSL": "?sslmode=verify-full in DATABASE_URL; plain text is for this machine only",
    "POSTGRES_USER": _URL,
    "RDS_CLUSTER_ARN": _RDS,
    "RDS_DATABASE": _RDS,
    "RDS_SECRET_ARN": _RDS,
    "REDIS_CLUSTER": "CACHE_URL names one server; a cluster of them is not used",
    "REDIS_ENABLED": "CACHE_URL names it; APP_CACHE_ENABLED=false for no cache",
    "REDIS_HOST": _REDIS,
    "REDIS_PORT": _REDIS,
    "REDIS_TTL": "APP_CACHE_TTL (seconds)",
    "ROLLBACK_HEALTH_CHECK": _ROLLBACK,
    "ROLLBACK_TIMEOUT": _ROLLBACK,
}
