source("common.R")
suppressMessages({library(mice); library(mitml); library(MASS); library(boot); library(sandwich); library(ordinal)})
set.seed(5)
n <- 60
d <- data.frame(age = rnorm(n, 68, 12), volume = rnorm(n), nihss = rpois(n, 5))
d$y <- 2 + 0.05 * d$age + 0.6 * d$volume + 0.2 * d$nihss + rnorm(n)
d$event <- as.integer(plogis(-0.5 + 0.6 * d$volume) > runif(n))
d <- round(d, 3); d$volume[sample(n, 15)] <- NA; d$nihss[sample(n, 10)] <- NA; d$y[sample(n, 6)] <- NA
imp <- mice(d, m = 7, method = "pmm", printFlag = FALSE, seed = 1)
long <- complete(imp, "long"); site <- rep(1:8, c(3, 4, 5, 6, 8, 9, 11, 14)); long$site <- rep(site, 7)
long$grade <- findInterval(long$y, quantile(d$y, c(.2, .5, .8), na.rm = TRUE))

pooled <- function(p) { s <- summary(p, conf.int = TRUE); q <- p$pooled
  list(terms = as.character(s$term), estimate = s$estimate, se = s$std.error, t = s$statistic, df = s$df, p = s$p.value,
       low = s$`2.5 %`, high = s$`97.5 %`, riv = q$riv, lambda = q$lambda, fmi = q$fmi) }
test <- function(r) as.numeric(r$result)
linear <- with(imp, lm(y ~ age + volume + nihss)); reduced <- with(imp, lm(y ~ age))
logistic <- with(imp, glm(event ~ age + volume + nihss, family = binomial, control = glm.control(1e-14, 100)))
without <- with(imp, glm(event ~ age, family = binomial, control = glm.control(1e-14, 100)))
chi2 <- sapply(logistic$analyses, function(m) { b <- coef(m)[3:4]; drop(b %*% solve(vcov(m)[3:4, 3:4]) %*% b) })
mitml_d1 <- testModels(as.mitml.result(linear), as.mitml.result(reduced), method = "D1", df.com = 56)$test
list_of <- with(imp, lm(y ~ age + volume + nihss))$analyses
robust <- lapply(split(long, long$.imp), function(z) { m <- lm(y ~ age + volume, z); list(b = coef(m), v = vcovCL(m, z$site, type = "HC1")) })
ordinal <- lapply(split(long, long$.imp), function(z) { z$grade <- factor(z$grade); m <- clm(grade ~ age + volume, data = z, control = clm.control(gradTol = 1e-12))
  list(b = m$beta, v = vcovCL(m, z$site, type = "HC1")[4:5, 4:5]) })
by_hand <- function(fits, j, dfcom) { q <- sapply(fits, function(f) f$b[j]); u <- sapply(fits, function(f) f$v[j, j])
  p <- pool.scalar(q, u, n = dfcom + 1, k = 1); c(p$qbar, sqrt(p$t), p$df, p$fmi) }
scalars <- list(large = pool.scalar(c(1, 1.4, .8), c(.2, .25, .3), n = Inf), two = pool.scalar(c(1, 2), c(.5, .5), n = 20, k = 3))

missing <- list(long = columns(long), linear = pooled(pool(linear)), logistic = pooled(pool(logistic)),
  D1_linear = test(D1(linear, reduced)), D2_linear = test(D2(linear, reduced)), D3_linear = test(D3(linear, reduced)),
  D1_logistic = test(D1(logistic, without)), D3_logistic = test(D3(logistic, without)),
  D2_logistic = test(D2(logistic, without)), chi2 = chi2, D1_mitml = as.numeric(mitml_d1),
  robust = lapply(1:3, function(j) by_hand(robust, j, 7)), ordinal = lapply(1:2, function(j) by_hand(ordinal, j, 7)),
  scalars = lapply(scalars, function(p) list(q = I(p$qhat), u = p$u, qbar = p$qbar, t = p$t, df = p$df, riv = p$r, fmi = p$fmi)))

# Bootstrap: the draws themselves, so that the interval alone is compared
x <- round(exp(rnorm(25, 1)), 3); b <- boot(x, function(v, i) mean(log(v[i])), R = 799)
ci <- boot.ci(b, type = c("perc", "bca"), L = empinf(b, type = "jack")); ci90 <- boot.ci(b, .9, type = c("perc", "bca"), L = empinf(b, type = "jack"))
jack <- sapply(seq_along(x), function(i) mean(log(x[-i])))
bootstrap <- list(x = x, draws = drop(b$t), estimate = b$t0, jackknife = jack, percentile = ci$percent[4:5], bca = ci$bca[4:5],
                  percentile90 = ci90$percent[4:5], bca90 = ci90$bca[4:5])

write_cases(list(missing = missing, bootstrap = bootstrap), "missing")
