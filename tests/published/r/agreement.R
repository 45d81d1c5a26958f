source("common.R")
suppressMessages({library(epiR); library(vcd); library(psych)})
set.seed(1)

ccc_case <- function(x, y) {
  z <- epi.ccc(x, y, ci = "z-transform"); a <- epi.ccc(x, y, ci = "asymptotic")
  list(x = x, y = y, ccc = z$rho.c$est, ci = c(z$rho.c$lower, z$rho.c$upper),
       asymptotic = c(a$rho.c$lower, a$rho.c$upper), scale_shift = z$s.shift,
       location_shift = z$l.shift, bias_correction = z$C.b)
}
skew <- exp(rnorm(40, 2)); ccc <- list(
  ties = ccc_case(c(1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 7, 8), c(1, 2, 3, 3, 3, 4, 4, 4, 6, 6, 7, 7)),
  skewed = ccc_case(skew, skew * exp(rnorm(40, 0.1, 0.3))),
  negative = ccc_case(1:15 + rnorm(15), 15:1 + rnorm(15)),
  five_pairs = ccc_case(c(3.1, 4.7, 2.2, 8.9, 5.0), c(2.8, 5.1, 2.9, 7.7, 5.6)),
  shifted = ccc_case(rnorm(30, 50, 10), rnorm(30, 80, 3)))

limits_case <- function(x, y, log = FALSE, offset = 0) {
  if (log) { u <- base::log(x + offset); v <- base::log(y + offset) } else { u <- x; v <- y }
  d <- u - v; m <- (u + v) / 2; n <- length(d); s <- sd(d); b <- mean(d)
  t <- qt(0.975, n - 1)
  # exact: the limit's standardised estimate is noncentral t (Carkeet 2015), solved here for the noncentrality
  pivot <- function(p) qt(p, n - 1, ncp = 1.96 * sqrt(n)) / sqrt(n)
  fit <- summary(lm(d ~ m))$coefficients
  list(x = x, y = y, log = log, offset = offset, bias = b, bias_ci = as.numeric(t.test(d)$conf.int), sd = s,
       low = b - 1.96 * s, high = b + 1.96 * s,
       low_exact = b - s * c(pivot(0.975), pivot(0.025)), high_exact = b + s * c(pivot(0.025), pivot(0.975)),
       low_approximate = b - 1.96 * s + c(-1, 1) * t * s * sqrt(3 / n),
       high_approximate = b + 1.96 * s + c(-1, 1) * t * s * sqrt(3 / n),
       slope = fit[2, 1], slope_p = fit[2, 4])
}
volumes <- c(0, round(exp(rnorm(24, 2)), 2))
limits <- list(
  raw = limits_case(round(rnorm(12, 10, 3), 1), round(rnorm(12, 11, 3), 1)),
  log_with_zero = limits_case(volumes, round(volumes * exp(rnorm(25, 0, 0.4)) + 0.3, 2), TRUE, 1),
  four_pairs = limits_case(c(1, 2, 3.5, 4), c(1.5, 1.8, 3, 5)))

icc_case <- function(scores) {
  r <- suppressWarnings(ICC(scores, lmer = FALSE))$results
  r <- r[match(c("ICC1", "ICC2", "ICC3", "ICC1k", "ICC2k", "ICC3k"), r$type), ]
  list(scores = scores, icc = r$ICC, low = r[["lower bound"]], high = r[["upper bound"]],
       f = r$F, df1 = r$df1, df2 = r$df2, p = r$p)
}
true <- rnorm(15, 20, 6); icc <- list(
  three_readers = icc_case(round(outer(true, c(0, 2, -1), "+") + rnorm(45, 0, 2), 1)),
  two_readers = icc_case(round(outer(true, c(0, 1), "+") + rnorm(30, 0, 5), 1)),
  no_agreement = icc_case(matrix(rnorm(40), 8)),
  grades = icc_case(matrix(sample(0:3, 60, TRUE), 12)))

by_definition <- function(p, w, n) {  # Fleiss, Cohen and Everitt 1969, equations 4 and 13
  chance <- outer(rowSums(p), colSums(p)); po <- sum(w * p); pe <- sum(w * chance)
  means <- outer(as.vector(w %*% colSums(p)), as.vector(rowSums(p) %*% w), "+")
  v <- sum(p * (w * (1 - pe) - means * (1 - po))^2) - (po * pe - 2 * pe + po)^2
  c(value = (po - pe) / (1 - pe), ASE = sqrt(v / n) / (1 - pe)^2)
}
kappa_case <- function(a, b, k, weights) {
  t <- table(factor(a, seq_len(k)), factor(b, seq_len(k)))
  w <- if (is.null(weights)) diag(k) else if (is.matrix(weights)) weights else {
    d <- abs(outer(1:k, 1:k, "-")) / (k - 1); if (weights == "linear") 1 - d else 1 - d^2 }
  # vcd 1.4-11 transposes the chance table, which shows only where the weights are not symmetric
  fit <- if (isSymmetric(w)) vcd::Kappa(t, weights = w)$Weighted else by_definition(t / sum(t), w, sum(t))
  # standard error under chance: Fleiss, Cohen and Everitt 1969, equation 8
  p <- t / sum(t); pr <- rowSums(p); pc <- colSums(p); pe <- sum(w * outer(pr, pc))
  wr <- as.vector(w %*% pc); wc <- as.vector(pr %*% w)
  null <- sqrt((sum(outer(pr, pc) * (w - outer(wr, wc, "+"))^2) - pe^2) / (sum(t) * (1 - pe)^2))
  list(a = a, b = b, categories = k, weights = weights, kappa = fit[["value"]], se = fit[["ASE"]],
       se_null = null, observed = sum(diag(p)))
}
a <- sample(1:4, 60, TRUE, c(.4, .3, .2, .1)); b <- pmin(pmax(a + sample(-1:1, 60, TRUE), 1), 4)
sparse <- c(1, 1, 1, 2, 2, 5, 5, 5, 5, 2, 1, 2); other <- c(1, 1, 2, 2, 2, 5, 5, 4, 5, 1, 1, 5)
credit <- rbind(c(1, .6, .1, 0), c(.6, 1, .5, .2), c(.1, .5, 1, .7), c(0, .2, .7, 1))
lopsided <- rbind(c(1, .2, 0, 0), c(.8, 1, .3, 0), c(.5, .6, 1, .4), c(.1, .3, .9, 1))
kappa <- list(
  unweighted = kappa_case(a, b, 4, NULL), linear = kappa_case(a, b, 4, "linear"),
  quadratic = kappa_case(a, b, 4, "quadratic"), matrix = kappa_case(a, b, 4, credit),
  matrix_not_symmetric = kappa_case(a, b, 4, lopsided),
  unused_category_linear = kappa_case(sparse, other, 5, "linear"),
  unused_category_quadratic = kappa_case(sparse, other, 6, "quadratic"),
  two_categories = kappa_case(pmin(a, 2), pmin(b, 2), 2, "linear"),
  below_chance = kappa_case(rep(1:3, 6), rep(c(2, 3, 1), 6)[c(1:16, 18, 17)], 3, "linear"))

# Fleiss' kappa from its definition, over pairs of raters
fleiss_case <- function(m) {
  n <- nrow(m); r <- ncol(m); pairs <- combn(r, 2)
  agree <- mean(apply(pairs, 2, function(p) mean(m[, p[1]] == m[, p[2]])))
  q <- as.vector(table(m)) / (n * r); pe <- sum(q^2)
  v <- 2 / (n * r * (r - 1)) * (sum(q * (1 - q))^2 - sum(q * (1 - q) * (1 - 2 * q))) / sum(q * (1 - q))^2
  k <- (agree - pe) / (1 - pe)
  list(ratings = m, kappa = k, se_null = sqrt(v), z = k / sqrt(v), p = 2 * pnorm(-abs(k / sqrt(v))))
}
fleiss <- list(three = fleiss_case(matrix(sample(1:3, 60, TRUE, c(.6, .3, .1)), 20)),
               five = fleiss_case(cbind(a, b, a, b, sample(a))[1:30, ]))

# Krippendorff's alpha over all pairs of values, without a coincidence matrix
alpha <- function(m, difference) {
  units <- lapply(seq_len(ncol(m)), function(u) m[!is.na(m[, u]), u]); units <- units[lengths(units) > 1]
  all <- unlist(units); n <- length(all)
  within <- sum(sapply(units, function(v) sum(outer(v, v, Vectorize(difference))) / (length(v) - 1))) / n
  between <- sum(outer(all, all, Vectorize(difference))) / (n * (n - 1))
  1 - within / between
}
alpha_case <- function(m) {
  units <- m[, colSums(!is.na(m)) > 1]; n <- table(units)
  ordinal <- function(a, b) { r <- range(a, b); s <- as.numeric(names(n)) >= r[1] & as.numeric(names(n)) <= r[2]
    if (a == b) 0 else (sum(n[s]) - (n[[as.character(a)]] + n[[as.character(b)]]) / 2)^2 }
  list(ratings = m, nominal = alpha(m, function(a, b) as.numeric(a != b)), ordinal = alpha(m, ordinal),
       interval = alpha(m, function(a, b) (a - b)^2),
       ratio = alpha(m, function(a, b) if (a + b == 0) 0 else ((a - b) / (a + b))^2))
}
holes <- matrix(sample(0:4, 60, TRUE), 4); holes[sample(60, 18)] <- NA; holes[2:4, 3] <- NA
krippendorff <- list(holes = alpha_case(holes), whole = alpha_case(rbind(a, b, pmin(a + 1, 4))[, 1:20]),
                     two = alpha_case(rbind(a, b)[, 1:25]))

# Kendall's W through Friedman's test, which corrects for ties
w_case <- function(m) {
  f <- friedman.test(t(m))
  list(ratings = m, w = f$statistic[[1]] / (ncol(m) * (nrow(m) - 1)), chi2 = f$statistic[[1]],
       df = f$parameter[[1]], p = f$p.value)
}
kendall <- list(ties = w_case(matrix(sample(0:3, 48, TRUE), 12)), none = w_case(matrix(rnorm(30), 10)))

write_cases(list(ccc = ccc, limits = limits, icc = icc, kappa = kappa, fleiss = fleiss,
                 krippendorff = krippendorff, kendall = kendall), "agreement")
